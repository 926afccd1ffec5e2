// All that is known of one image, in a dialog that an address can point to: #image=sha256:...

const PARTS = { ancestor: "from what the base stands on", base: "from the base", relative: "from a relative of the base", part: "from another stored image", new: "in no stored image named here" };

const panel = byId("panel");
const linkTo = (image) => el("a", { href: hrefOf(image) }, name(image.name));

const answerBadge = (image) =>
    el("span", { class: `badge ${ANSWERS[image.answer].className}` }, el("span", { class: "mark", "aria-hidden": "true" }, ANSWERS[image.answer].mark), ANSWERS[image.answer].label);

const field = (label, ...content) => [el("dt", {}, label), el("dd", {}, ...content)];
const part = (title, ...content) => el("section", {}, el("h3", {}, title), ...content);
const namesList = (names) => el("ul", { class: "names" }, names.map((text) => el("li", {}, name(text))));

// The bar: each part as long as its share, numbered as in the table below it.
function madeOf(image) {
    const total = image.parts.reduce((all, part) => all + part[3], 0);
    const shown = image.parts.filter((part) => part[2] > 0);
    const bar = el("div", { class: "bar", "aria-hidden": "true" });
    shown.forEach(([kind, , , size], at) => {
        const segment = el("span", { class: `segment ${kind} nth-${at % 2}` }, size / total > 0.04 ? String(at + 1) : "");
        segment.style.flexGrow = total > 0 ? size / total : 1;
        bar.append(segment);
    });
    const row = ([kind, names, contents, size], at) =>
        el(
            "tr",
            {},
            el("td", {}, el("span", { class: `swatch segment ${kind} nth-${at % 2}` }, String(at + 1))),
            el("td", {}, data.names[names].length ? name(textOf(data.names[names])) : "new", el("small", {}, PARTS[kind])),
            el("td", { class: "figure" }, bytes(size)),
            el("td", { class: "figure" }, percent(total > 0 ? size / total : 0)),
            el("td", { class: "figure" }, count(contents)),
        );
    const head = el("tr", {}, ["No.", "Where from", "Size", "Share", "Contents"].map((text, at) => el("th", { scope: "col", class: at > 1 ? "figure" : null }, text)));
    return [bar, el("div", { class: "scroll" }, el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, shown.map(row))))];
}

function basePart(image) {
    if (!image.base) return part("Base", el("p", {}, data.texts[image.reason]));
    const { base } = image;
    const [total, same, moved, modified, deleted] = base.files;
    const title = image.on === undefined ? "Like one of these" : "Base";
    return part(
        title,
        namesList(image.baseNames),
        el(
            "dl",
            {},
            field("Known", answerBadge(image), `, ${percent(image.confidence)} sure`),
            field("Because", data.texts[image.reason]),
            base.created ? field("Made", name(day(base.created))) : [],
            field("Kept", `${percent(base.share)}: ${count(base.contents[0])} of ${count(base.contents[1])} contents`),
            field("Its files", `${count(total)}: ${count(same)} same, ${count(moved)} moved, ${count(modified)} modified, ${count(deleted)} deleted`),
            base.moved_to ? field("Stands in", name(base.moved_to)) : [],
            field("Shared layers", count(base.layers)),
            freshness(image),
        ),
    );
}

function freshness(image) {
    if (image.newer === undefined) return field("Freshness", "not known");
    if (image.newer === 0) return field("Freshness", "no newer one is stored");
    const newest = image.newest ? [", the newest ", name(textOf(data.names[image.newest[0]])), ` of ${day(image.newest[1])}`] : [];
    return field("Freshness", `${counted(image.newer, "newer one")} stored`, ...newest);
}

function lineage(image) {
    if (!image.base) return null;
    const step = (names, how) => el("li", {}, imageNamed(names), how ? el("small", {}, how) : null);
    const older = image.base.lineage.map(([names, evidence]) => step(data.names[names], evidence === "chain-id" ? "by layers" : "by content"));
    return part("Lineage", el("ol", { class: "line" }, step([image.name]), step(image.baseNames, ANSWERS[image.answer].label), older));
}

// A link where the report has the image; else its name.
const imageByName = new Map(images.flatMap((image) => image.names.map((text) => [text, image])));
function imageNamed(names) {
    const found = names.map((text) => imageByName.get(text)).find(Boolean);
    return found && found !== panel.image ? linkTo(found) : name(textOf(names));
}

function second(image) {
    const { second } = image;
    if (!second) return null;
    const paths = (label, number, list) => (number ? el("details", {}, el("summary", {}, `${counted(number, "content")} ${label}`), namesList(list)) : null);
    return part(
        "Not chosen",
        el("p", {}, name(textOf(data.names[second.names])), `, of which it has ${percent(second.share)}.`),
        paths("that only the base has", second.only_base, second.only_base_paths),
        paths("that only this one has", second.only_second, second.only_second_paths),
    );
}

function cover(image) {
    const folder = (path) => name(path ? `${path}/` : "/");
    const line = ({ names, files, bytes: size, share, from, to }) =>
        el("li", {}, name(textOf(data.names[names])), ` has ${counted(files, "file")} (${bytes(size)}, ${percent(share)} of it) in `, folder(to), ...(from === to ? [] : [", its ", folder(from)]));
    return image.cover?.length ? part("Parts of other images", el("ul", {}, image.cover.map(line))) : null;
}

function remarks(image) {
    const line = ([rule, level, message]) => el("li", {}, el("strong", { class: `level ${level}` }, ruleLabel(rule)), " ", name(message), " ", el("small", {}, level));
    return image.remarks?.length ? part("Remarks", el("ul", { class: "remarks" }, image.remarks.map(line))) : null;
}

// What was said of it in an earlier report, where that was something else.
function changed(image) {
    if (!image.change) return null;
    const kind = el("strong", {}, CHANGES[image.change.kind] ?? image.change.kind);
    if (!image.change.was) return part("What changed", el("p", {}, kind, "; the earlier report does not have it"));
    const [verdict, names, newer] = image.change.was;
    const base = () => name(textOf(data.names[names]));
    const was = { base: () => [base()], family: () => ["family only, like ", base()], none: () => ["no base known"] }[verdict]();
    const fresh = verdict === "base" && newer !== null ? [`, ${count(newer)} newer`] : [];
    return part("What changed", el("p", {}, kind, "; before: ", ...was, ...fresh));
}

function builtOn(image) {
    if (image.is === undefined) return null;
    const base = image.is;
    const button = el("button", { type: "button" }, "Show them in the table");
    button.addEventListener("click", () => visit({ on: textOf(data.names[data.bases[base].names]) }));
    return part("Built on it", el("p", {}, `${counted(image.children, "image")} of this report. `, button));
}

// Where the tree has it: at the base that it is, or at the one that it stands on.
function inTree(image) {
    const base = data.bases[image.is ?? image.on];
    if (!base) return null;
    const button = el("button", { type: "button" }, "Show in the tree");
    button.addEventListener("click", () => visit({ tree: `base:${textOf(data.names[base.names])}` }));
    return el("p", { class: "hint" }, button);
}

function facts(image) {
    return part(
        "Image",
        el(
            "dl",
            {},
            field("Names", image.names.length ? namesList(image.names) : "none"),
            field("ID", el("code", {}, image.id)),
            field("Platform", name(image.platform)),
            field("Made", image.created ? name(day(image.created)) : "not said"),
            field("Size", `${bytes(image.bytes)} in ${count(image.contents)} contents, ${counted(image.files, "file")}, ${counted(image.layers, "layer")}`),
            image.same?.length ? field("Same contents as", namesList(image.same)) : [],
        ),
    );
}

function showPanel(image) {
    panel.image = image;
    byId("panel-title").replaceChildren(name(image.name));
    const sections = [part("What of it comes from where", ...madeOf(image)), remarks(image), changed(image), basePart(image), lineage(image), inTree(image), builtOn(image), cover(image), second(image), facts(image)];
    byId("panel-body").replaceChildren(...sections.filter(Boolean));
    if (!panel.open) panel.showModal();
    byId("panel-body").scrollTop = 0;
    byId("panel-title").focus();
}

panel.addEventListener("close", leaveImage);
panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close();
});
byId("panel-close").addEventListener("click", () => panel.close());

