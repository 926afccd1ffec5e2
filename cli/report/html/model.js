// What the page knows: images, bases and the tree of both.

const data = JSON.parse(byId("data").textContent);

// What is said of an image's base. The mark says it without colour.
const ANSWERS = [
    { label: "by layers", mark: "■", className: "layers" },
    { label: "by content", mark: "▣", className: "content" },
    { label: "family only", mark: "◪", className: "family" },
    { label: "base of others", mark: "◇", className: "root" },
    { label: "none known", mark: "□", className: "nothing" },
];
const FAMILY_ONLY = 2;
const RULES = {
    "base-unknown": "No base known",
    "base-uncertain": "Base uncertain",
    "base-outdated": "Base outdated",
    "base-not-allowed": "Base not allowed",
    "base-forbidden": "Base forbidden",
    "base-too-old": "Base too old",
    "confidence-too-low": "Confidence too low",
    "file-forbidden": "Forbidden file",
    "exempt": "Exempt",
};
const ruleLabel = (rule) => RULES[rule] ?? rule;
const CHANGES = { "fell-behind": "Fell behind", "lost-base": "Lost its base", moved: "Moved", "came-back": "Came back", new: "New" };

const images = data.images;
const imageById = new Map();
images.forEach((image, at) => {
    image.at = at;
    image.name = image.names[0] ?? shortId(image.id);
    image.baseNames = image.base ? data.names[image.base.names] : [];
    image.baseName = image.baseNames[0] ?? "";
    const total = image.parts.reduce((sum, part) => sum + part[3], 0);
    const fresh = image.parts.filter((part) => part[0] === "new").reduce((sum, part) => sum + part[3], 0);
    image.newShare = total > 0 ? fresh / total : 0;
    image.isOutdated = (image.newer ?? 0) > 0;
    imageById.set(image.id, image);
});

// What the search looks at; made when it is first asked for.
function haystack(image) {
    image.haystack ??= [...image.names, image.id, image.platform, image.family ?? "", ...image.baseNames].join("\n").toLowerCase();
    return image.haystack;
}

const collator = new Intl.Collator("en", { numeric: true });

const leaf = (image) => ({ kind: "image", label: image.name, image, children: [] });
const group = (kind, label) => ({ kind, label, children: [], selves: [] });

// Everything as one tree: families, bases on bases, and the images on them.
function buildTree() {
    const root = group("root", "All images");
    const families = new Map();
    const family = (label) => {
        if (!families.has(label)) {
            families.set(label, { ...group("family", label), key: `family:${label}` });
            root.children.push(families.get(label));
        }
        return families.get(label);
    };
    const nothing = group("nothing", "No base known");
    nothing.key = "unknown";
    const bases = data.bases.map((base) => ({ ...group("base", data.names[base.names][0] ?? "(no name)"), base, key: `base:${textOf(data.names[base.names])}` }));
    const oldest = (base) => (base.base.parent === undefined ? base : oldest(bases[base.base.parent]));
    const familyOf = (base) => family(oldest(base).base.family ?? "(no name)");
    bases.forEach((base) => (base.base.parent === undefined ? familyOf(base) : bases[base.base.parent]).children.push(base));
    const unsure = new Map();
    const unsureOf = (parent) => {
        if (!unsure.has(parent)) {
            unsure.set(parent, group("unsure", "which base is uncertain"));
            parent.children.push(unsure.get(parent));
        }
        return unsure.get(parent);
    };
    // An image of a family by its own name, on which nothing stands.
    const known = (image) => image.names.map(repository).find((own) => families.has(own));
    for (const image of images) {
        if (image.is !== undefined) bases[image.is].selves.push(image);
        else if (image.on !== undefined) bases[image.on].children.push(leaf(image));
        else if (image.answer === FAMILY_ONLY) unsureOf(family(familyOfUnsure(image))).children.push(leaf(image));
        else if (known(image)) family(known(image)).children.push(leaf(image));
        else nothing.children.push(leaf(image));
    }
    if (nothing.children.length) root.children.push(nothing);
    sum(root, null);
    root.children.filter((child) => child.kind === "family").sort(byValue("images")).forEach((child, at) => (child.hue = Math.min(at, 7)));
    return root;
}

const repository = (reference) => {
    const familiar = reference.replace(/^(index\.)?docker\.io\/(library\/)?/, "").split("@")[0];
    return familiar.replace(/:[^/:]*$/, "");
};

// The family of the oldest ancestor, under which its relatives stand.
function familyOfUnsure(image) {
    const oldest = image.base?.lineage.at(-1);
    const base = oldest && data.bases.find((base) => base.names === oldest[0]);
    return base?.family ?? image.family ?? "(no name)";
}

// Adds up what is below, from the leaves to the root. No tree is deeper than lineages are long.
function sum(node, parent) {
    node.parent = parent;
    const own = node.image ? [node.image] : (node.selves ?? []);
    node.images = own.length;
    node.bytes = own.reduce((total, image) => total + image.bytes, 0);
    node.outdated = own.filter((image) => image.isOutdated).length;
    for (const child of node.children) {
        sum(child, node);
        node.images += child.images;
        node.bytes += child.bytes;
        node.outdated += child.outdated;
    }
}

const byValue = (key) => (a, b) => b[key] - a[key] || collator.compare(a.label, b.label);

