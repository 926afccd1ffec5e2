// The table of images: search, filters, sorting, a page at a time. Only the rows of one page are in the document.

const PAGE_ROWS = 25;
// On paper nobody turns to the next page.
const PRINTED_ROWS = 200;

const table = (() => {
    const body = byId("rows");
    const controls = { search: byId("search"), answer: byId("filter-answer"), family: byId("filter-family"), remark: byId("filter-remark"), change: byId("filter-change") };
    // What is asked beyond the controls: a word for each, and whom it means.
    const MORE = {
        outdated: (how) => [how === "no" ? "on a current base" : "on an outdated base", how === "no" ? (image) => image.on !== undefined && !image.isOutdated : (image) => image.isOutdated],
        on: (names) => [`on ${names}`, (image) => image.on !== undefined && textOf(data.names[data.bases[image.on].names]) === names],
        under: (key) => {
            const under = new Set(tree.imagesUnder(key));
            return [`under ${key.replace(/^\w+:/, "")}`, (image) => under.has(image)];
        },
    };
    const state = { sort: "name", descending: false, page: 0, more: {}, chosen: [] };
    let found = images;
    let rows = PAGE_ROWS;
    // What the table shows now, as an address asks for it.
    let shown = "#";

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
            state.chosen.every(([, isMeant]) => isMeant(image)) &&
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
            el("th", { scope: "row", class: "name" }, el("a", { href: hrefOf(image) }, clipped(image.name))),
            el("td", { class: "name" }, image.baseName ? clipped(image.baseName) : "–", more > 0 ? el("small", { title: textOf(image.baseNames) }, ` +${more}`) : null),
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
        const pages = Math.max(1, Math.ceil(found.length / rows));
        state.page = Math.min(Math.max(0, state.page), pages - 1);
        const start = state.page * rows;
        const drawn = found.slice(start, start + rows);
        body.replaceChildren(...drawn.map(row));
        byId("none-found").hidden = drawn.length > 0;
        const whole = found.length === images.length ? "" : ` found, of ${count(images.length)}`;
        byId("found").textContent = drawn.length ? `${count(start + 1)}–${count(start + drawn.length)} of ${counted(found.length, "image")}${whole}` : `no image found, of ${count(images.length)}`;
        byId("page-first").disabled = byId("page-back").disabled = state.page === 0;
        byId("page-on").disabled = byId("page-last").disabled = state.page === pages - 1;
        byId("page-number").textContent = `Page ${count(state.page + 1)} of ${count(pages)}`;
    }

    function update() {
        found = sorted(images.filter(matches()));
        state.page = 0;
        draw();
    }

    function sortBy(key, descending) {
        state.sort = key;
        state.descending = descending;
        for (const head of document.querySelectorAll("#images th[data-sort]")) {
            const how = state.descending ? "descending" : "ascending";
            head.setAttribute("aria-sort", head.dataset.sort === key ? how : "none");
        }
    }

    function turn(to) {
        state.page = to;
        draw();
        byId("table-box").scrollTop = 0;
    }

    // All that is asked of the table.
    function question() {
        const { search, answer, family, remark, change } = controls;
        return {
            search: search.value || null,
            answer: answer.value || null,
            family: family.value ? family.value.slice(1) : null,
            remark: remark.value || null,
            change: change.value || null,
            ...state.more,
            sort: state.sort === "name" && !state.descending ? null : state.sort,
            down: state.descending ? "1" : null,
        };
    }

    // Asked by hand: found at once, and kept in the address.
    function changed(isTyping) {
        update();
        shown = addressOf(question());
        remember(question(), isTyping);
    }

    function ask(wanted) {
        const { search, answer, family, remark, change } = controls;
        search.value = wanted.get("search") ?? "";
        answer.value = wanted.get("answer") ?? "";
        family.value = wanted.has("family") ? `=${wanted.get("family")}` : "";
        remark.value = wanted.get("remark") ?? "";
        change.value = wanted.get("change") ?? "";
        for (const select of [answer, family, remark, change]) if (select.selectedIndex < 0) select.value = "";
        state.more = Object.fromEntries(Object.keys(MORE).filter((key) => wanted.has(key)).map((key) => [key, wanted.get(key)]));
        state.chosen = Object.entries(state.more).map(([key, value]) => MORE[key](value));
        const label = state.chosen.map(([word]) => word).join(", ");
        byId("only").hidden = label === "";
        byId("only-label").replaceChildren(name(label));
        sortBy(Object.hasOwn(KEYS, wanted.get("sort")) ? wanted.get("sort") : "name", wanted.get("down") === "1");
    }

    // Shows what the address asks for, and nothing else. What is shown already keeps its page and the focus.
    function follow(wanted, isBack) {
        const isAsked = TABLE_KEYS.some((key) => wanted.has(key));
        const before = shown;
        ask(wanted);
        shown = addressOf(question());
        if (shown !== before) update();
        if (!isAsked || isBack) return;
        byId("images").scrollIntoView();
        byId("images-title").focus({ preventScroll: true });
    }

    function reset() {
        ask(new URLSearchParams());
        changed(false);
        controls.search.focus();
    }

    // On paper: more of the rows, and how many there are.
    function print(isPrinted) {
        rows = isPrinted ? PRINTED_ROWS : PAGE_ROWS;
        if (isPrinted) state.page = 0;
        draw();
        byId("printed").hidden = !isPrinted;
        byId("printed").textContent = found.length > rows ? `The first ${count(rows)} of ${counted(found.length, "image")}; the page itself has them all.` : counted(found.length, "image");
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

    controls.search.addEventListener("input", () => changed(true));
    controls.search.addEventListener("change", rememberNow);
    for (const select of [controls.answer, controls.family, controls.remark, controls.change]) select.addEventListener("change", () => changed(false));
    byId("reset").addEventListener("click", reset);
    byId("only").addEventListener("click", reset);
    for (const head of document.querySelectorAll("#images th[data-sort]")) {
        const key = head.dataset.sort;
        head.firstElementChild.addEventListener("click", () => {
            sortBy(key, state.sort === key && !state.descending);
            changed(false);
        });
    }
    byId("page-first").addEventListener("click", () => turn(0));
    byId("page-back").addEventListener("click", () => turn(state.page - 1));
    byId("page-on").addEventListener("click", () => turn(state.page + 1));
    byId("page-last").addEventListener("click", () => turn(Infinity));
    update();
    return { follow, print };
})();
