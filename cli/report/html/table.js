// The table of images: search, filters, sorting, a page at a time. Only the rows of one page are in the document.

const PAGE_ROWS = 25;

const table = (() => {
    const body = byId("rows");
    const controls = { search: byId("search"), answer: byId("filter-answer"), family: byId("filter-family"), remark: byId("filter-remark"), change: byId("filter-change") };
    const state = { sort: "name", descending: false, page: 0, on: null };
    let found = images;

    // What the filter can ask for: a rule at a level, or whatever breaks the policy.
    const remarkKeys = (image) => (image.remarks ?? []).flatMap(([rule, level]) => (level === "error" ? [`${rule} ${level}`, "error"] : [`${rule} ${level}`]));
    const remarkText = (image) => [...new Set((image.remarks ?? []).map(([rule]) => ruleLabel(rule)))].join(", ");
    // How each column sorts: by text or by number; what is not known comes last either way.
    const KEYS = {
        name: (image) => image.name,
        base: (image) => image.baseName || null,
        answer: (image) => image.answer,
        confidence: (image) => (image.base ? image.confidence : null),
        made: (image) => image.base?.created ?? null,
        newer: (image) => image.newer ?? null,
        bytes: (image) => image.bytes,
        fresh: (image) => image.newShare,
        remarks: (image) => remarkText(image) || null,
    };

    function sorted(list) {
        const key = KEYS[state.sort];
        const sign = state.descending ? -1 : 1;
        const keyed = list.map((image) => [key(image), image]);
        const compare = (a, b) => (typeof a === "string" ? collator.compare(a, b) : a - b);
        keyed.sort(([a, first], [b, second]) => {
            if (a === null || b === null) return (a === null) - (b === null) || first.at - second.at;
            return sign * compare(a, b) || first.at - second.at;
        });
        return keyed.map(([, image]) => image);
    }

    function matches() {
        const words = controls.search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const [answer, family, remark, change] = [controls.answer.value, controls.family.value, controls.remark.value, controls.change.value];
        return (image) =>
            (answer === "" || image.answer === Number(answer)) &&
            (family === "" || image.family === family.slice(1)) &&
            (remark === "" || remarkKeys(image).includes(remark)) &&
            (change === "" || image.change?.kind === change) &&
            (state.on === null || state.on.has(image)) &&
            words.every((word) => haystack(image).includes(word));
    }

    function miniBar(image) {
        const bar = el("span", { class: "bar mini", "aria-hidden": "true" });
        image.parts.forEach(([kind, , , size], at) => {
            const segment = el("span", { class: `segment ${kind} nth-${at % 2}` });
            segment.style.flexGrow = size;
            if (size > 0) bar.append(segment);
        });
        return bar;
    }

    function row(image) {
        const more = image.baseNames.length - 1;
        const cells = [
            el("th", { scope: "row", class: "name" }, linkTo(image)),
            el("td", { class: "name" }, image.baseName ? name(image.baseName) : "–", more > 0 ? el("small", {}, ` +${more}`) : null),
            el("td", {}, answerBadge(image)),
            el("td", { class: "figure" }, image.base ? percent(image.confidence) : "–"),
            el("td", { class: "figure" }, name(day(image.base?.created) || "–")),
            el("td", { class: image.isOutdated ? "figure outdated" : "figure" }, image.newer === undefined ? "–" : count(image.newer)),
            el("td", { class: "figure" }, bytes(image.bytes)),
            el("td", { class: "figure made-of" }, miniBar(image), el("span", { class: "share" }, percent(image.newShare))),
            el("td", { class: "remark-names" }, remarkText(image) || "–"),
        ];
        return el("tr", {}, cells);
    }

    function draw() {
        const pages = Math.max(1, Math.ceil(found.length / PAGE_ROWS));
        state.page = Math.min(Math.max(0, state.page), pages - 1);
        const start = state.page * PAGE_ROWS;
        const shown = found.slice(start, start + PAGE_ROWS);
        body.replaceChildren(...shown.map(row));
        byId("none-found").hidden = shown.length > 0;
        const whole = found.length === images.length ? "" : ` found, of ${count(images.length)}`;
        byId("found").textContent = shown.length ? `${count(start + 1)}–${count(start + shown.length)} of ${counted(found.length, "image")}${whole}` : `no image found, of ${count(images.length)}`;
        byId("page-first").disabled = byId("page-back").disabled = state.page === 0;
        byId("page-on").disabled = byId("page-last").disabled = state.page === pages - 1;
        byId("page-number").textContent = `Page ${count(state.page + 1)} of ${count(pages)}`;
    }

    function update() {
        found = sorted(images.filter(matches()));
        state.page = 0;
        draw();
    }

    function sortBy(key) {
        state.descending = state.sort === key && !state.descending;
        state.sort = key;
        for (const head of document.querySelectorAll("#images th[data-sort]")) {
            const how = state.descending ? "descending" : "ascending";
            head.setAttribute("aria-sort", head.dataset.sort === key ? how : "none");
        }
        update();
    }

    function turn(to) {
        state.page = to;
        draw();
        byId("table-box").scrollTop = 0;
    }

    function reset() {
        for (const control of Object.values(controls)) control.value = "";
        state.on = null;
        byId("only").hidden = true;
    }

    // Shows what a figure elsewhere on the page counts, and nothing else.
    function only({ answer, family, remark, change, on, nodeImages, label }) {
        reset();
        if (answer !== undefined) controls.answer.value = String(answer);
        if (family !== undefined) controls.family.value = `=${family}`;
        if (remark !== undefined) controls.remark.value = remark;
        if (change !== undefined) controls.change.value = change;
        const chosen = nodeImages ?? (on === undefined ? null : images.filter((image) => image.on === on));
        if (chosen) {
            state.on = new Set(chosen);
            byId("only-label").replaceChildren(name(label));
            byId("only").hidden = false;
        }
        update();
        byId("images").scrollIntoView();
        byId("images-title").focus({ preventScroll: true });
    }

    for (const answer of new Set(images.map((image) => image.answer).sort())) {
        controls.answer.append(el("option", { value: answer }, ANSWERS[answer].label));
    }
    const families = [...new Set(images.map((image) => image.family).filter((family) => family !== undefined))];
    // The sign tells a family with an empty name from all families.
    controls.family.append(...families.sort(collator.compare).map((family) => el("option", { value: `=${family}` }, family || "(no name)")));
    const keys = [...new Set(images.flatMap(remarkKeys))].sort();
    const rules = keys.map((key) => key.split(" ")[0]);
    const keyLabel = (key) => {
        const [rule, level] = key.split(" ");
        if (key === "error") return "breaks the policy";
        return rules.filter((other) => other === rule).length > 1 ? `${ruleLabel(rule)}, ${level}` : ruleLabel(rule);
    };
    controls.remark.append(...keys.map((key) => el("option", { value: key }, keyLabel(key))));
    const changes = new Set(images.map((image) => image.change?.kind));
    controls.change.append(...Object.keys(CHANGES).filter((kind) => changes.has(kind)).map((kind) => el("option", { value: kind }, CHANGES[kind])));

    controls.search.addEventListener("input", update);
    for (const select of [controls.answer, controls.family, controls.remark, controls.change]) select.addEventListener("change", update);
    byId("reset").addEventListener("click", () => {
        reset();
        update();
        controls.search.focus();
    });
    byId("only").addEventListener("click", () => {
        reset();
        update();
        controls.search.focus();
    });
    for (const head of document.querySelectorAll("#images th[data-sort]")) {
        head.firstElementChild.addEventListener("click", () => sortBy(head.dataset.sort));
    }
    byId("page-first").addEventListener("click", () => turn(0));
    byId("page-back").addEventListener("click", () => turn(state.page - 1));
    byId("page-on").addEventListener("click", () => turn(state.page + 1));
    byId("page-last").addEventListener("click", () => turn(Infinity));
    update();
    return { only };
})();

