// The tree of families, bases and images: columns from left to right, each cell as high as what it stands for is large.
// A cell that is chosen becomes the first column; what would be too low to read is gathered in one cell that can be chosen, too.

const tree = (() => {
    const LEVEL_MIN_PX = 200;
    const CELL_MIN_PX = 24;
    // A cell without its text: there is something, and it can be chosen.
    const THIN_PX = 6;
    const box = byId("tree");
    const root = buildTree();
    // What is small needs no more room than its names do.
    box.style.height = `${Math.min(560, Math.max(170, root.images * 36))}px`;
    let focus = root;
    let key = "images";
    let cells = [];

    const values = (node) => [...node.children].filter((child) => child.images > 0).sort(byValue(key));
    const rest = (parent, nodes) => ({
        kind: "rest",
        label: `${count(nodes.length)} more`,
        children: nodes,
        parent,
        images: nodes.reduce((sum, node) => sum + node.images, 0),
        bytes: nodes.reduce((sum, node) => sum + node.bytes, 0),
        outdated: nodes.reduce((sum, node) => sum + node.outdated, 0),
    });

    // Heights of the focus's own children: each can be read, and what is left goes by value.
    function readable(node, height) {
        const all = values(node);
        const most = Math.max(2, Math.floor(height / CELL_MIN_PX));
        const shown = all.length > most ? [...all.slice(0, most - 1), rest(node, all.slice(most - 1))] : all;
        const total = shown.reduce((sum, child) => sum + child[key], 0) || 1;
        const free = Math.max(0, height - shown.length * CELL_MIN_PX);
        return shown.map((child) => [child, CELL_MIN_PX + (free * child[key]) / total]);
    }

    // Heights of all others: by value alone, inside of their parent.
    function exact(node, height) {
        const all = values(node);
        const high = (child) => (height * child[key]) / (node[key] || 1);
        const shown = all.filter((child) => high(child) >= CELL_MIN_PX);
        const low = all.slice(shown.length);
        const left = low.reduce((sum, child) => sum + high(child), 0);
        if (left < THIN_PX) return shown.map((child) => [child, high(child)]);
        const gathered = rest(node, low);
        if (shown.length === 0) gathered.label = nounOf(low);
        return [...shown.map((child) => [child, high(child)]), [gathered, left]];
    }

    function nounOf(nodes) {
        if (nodes.every((node) => node.kind === "image")) return counted(nodes.length, "image");
        if (nodes.every((node) => node.kind === "base")) return counted(nodes.length, "base");
        return `${count(nodes.length)} bases and images`;
    }

    function place(node, column, top, height, level, family) {
        const own = node.kind === "family" || node.kind === "nothing" ? node : family;
        cells.push({ node, column, top, height, level, family: own });
        if (column + 1 >= columns() || (node.kind === "rest" && node !== focus)) return;
        let y = top;
        const inner = node === focus ? readable(node, height) : exact(node, height);
        for (const [child, high] of inner) {
            place(child, column + 1, y, high, level + 1, own);
            y += high;
        }
    }

    const columns = () => Math.max(2, Math.min(4, Math.floor(box.clientWidth / LEVEL_MIN_PX)));
    const path = (node) => (node ? [...path(node.parent), node] : []);
    const isOpenable = (node) => node.children.length > 0;

    function describe(node) {
        const what = { root: "", family: "family ", base: "base ", image: "image ", unsure: "", nothing: "", rest: "" }[node.kind];
        const outdated = node.outdated ? `, ${count(node.outdated)} on outdated bases` : "";
        return `${what}${node.label}, ${counted(node.images, "image")}, ${bytes(node.bytes)}${outdated}`;
    }

    // Columns that hold a cell: what is left of the width is theirs.
    let used = 1;

    function element(cell, at) {
        const { node, column, top, height, level, family } = cell;
        const width = 100 / used;
        // What has no room stays to be read out.
        const isThin = height < 20;
        const hasRoom = height >= 52 && node.kind !== "image";
        const figures = [[count(node.images), el("span", { class: "unseen" }, node.images === 1 ? " image" : " images")], [bytes(node.bytes)]];
        const [figure, under] = key === "images" ? figures : figures.toReversed();
        const outdated = node.outdated ? `, ${count(node.outdated)} outdated` : "";
        const item = el(
            "div",
            {
                class: `cell ${node.kind} ${isThin ? "thin" : ""} ${family?.kind === "nothing" ? "unknown" : `hue-${family?.hue ?? "none"}`}`,
                role: "treeitem",
                tabindex: at === 0 ? 0 : -1,
                "aria-level": level,
                "aria-expanded": isOpenable(node) ? String(cells.some((other) => other.node.parent === node || node.children.includes(other.node))) : null,
                "aria-label": isThin ? describe(node) : null,
                "aria-selected": node === focus ? "true" : "false",
                title: describe(node),
            },
            el("span", { class: "label" }, clipped(node.label), node.image?.isOutdated ? el("span", { class: "old" }, "outdated") : null),
            node.kind === "image" && key === "images" ? null : el("span", { class: "figure" }, figure),
            el("span", { class: hasRoom ? "under" : "unseen" }, under, outdated),
        );
        item.style.left = `${column * width}%`;
        item.style.width = `${width}%`;
        item.style.top = `${top}px`;
        item.style.height = `${height}px`;
        item.addEventListener("click", () => choose(node));
        cell.element = item;
        return item;
    }

    function draw(withFocus) {
        cells = [];
        place(focus, 0, 0, box.clientHeight, path(focus).length, path(focus).find((node) => node.kind === "family" || node.kind === "nothing"));
        used = 1 + Math.max(...cells.map((cell) => cell.column));
        box.replaceChildren(...cells.map(element));
        crumbs();
        const image = focus.selves?.[0];
        byId("tree-open").hidden = !image;
        byId("tree-open").onclick = () => image && (location.hash = hrefOf(image));
        byId("tree-list").hidden = byId("tree-out").disabled = focus === root;
        byId("tree-list").textContent = `Show ${counted(focus.images, "image")} in the table`;
        byId("tree-said").textContent = `${describe(focus)}; ${count(values(focus).length)} below`;
        if (withFocus) cells[0].element.focus({ preventScroll: true });
    }

    function crumbs() {
        const line = path(focus);
        byId("crumbs").replaceChildren(
            ...line.map((node) => {
                if (node === focus) return el("li", { "aria-current": "true" }, name(node.label));
                const button = el("button", { type: "button" }, name(node.label));
                button.addEventListener("click", () => zoom(node));
                return el("li", {}, button);
            }),
        );
    }

    // What the address can name.
    const byKey = new Map();
    const enter = (node) => {
        if (node.key !== undefined) byKey.set(node.key, node);
        node.children.forEach(enter);
    };
    enter(root);

    function zoom(node) {
        if (!node) return;
        focus = node;
        draw(true);
        if (node === root) push({});
        else push({ tree: node.key ?? gathered(node) });
    }

    // Shows what the address names.
    function follow(key) {
        const node = key === "" ? root : byKey.get(key);
        if (!node || node === focus) return;
        focus = node;
        draw(key !== "");
        if (key !== "") byId("tree-card").scrollIntoView({ block: "nearest" });
    }

    function choose(node) {
        if (node === focus) zoom(node.parent);
        else if (isOpenable(node)) zoom(node);
        else if (node.image) location.hash = hrefOf(node.image);
    }

    function under(node) {
        const own = node.image ? [node.image] : (node.selves ?? []);
        return [...own, ...node.children.flatMap(under)];
    }

    // What has no name of its own is known by where it is, once it was looked at.
    function gathered(node) {
        const key = `cell:${path(node).map((part) => part.label).join(" › ")}`;
        byKey.set(key, node);
        return key;
    }

    const imagesUnder = (key) => (byKey.has(key) ? under(byKey.get(key)) : []);

    // Arrows go as the eye does: right to what is inside, left to what it is in, up and down in a column.
    function neighbour(cell, arrow) {
        const column = cells.filter((other) => other.column === cell.column).sort((a, b) => a.top - b.top);
        const at = column.indexOf(cell);
        const inside = (outer, inner) => inner.column === outer.column + 1 && inner.top >= outer.top - 0.5 && inner.top < outer.top + outer.height;
        if (arrow === "ArrowDown") return column[at + 1];
        if (arrow === "ArrowUp") return column[at - 1];
        if (arrow === "ArrowRight") return cells.find((other) => inside(cell, other));
        if (arrow === "ArrowLeft") return cells.find((other) => inside(other, cell));
        if (arrow === "Home") return cells[0];
        if (arrow === "End") return column.at(-1);
        return undefined;
    }

    box.addEventListener("keydown", (event) => {
        const cell = cells.find((other) => other.element === document.activeElement);
        if (!cell || event.ctrlKey || event.altKey || event.metaKey) return;
        if (event.key === "Enter" || event.key === " ") choose(cell.node);
        else if (event.key === "Escape" || event.key === "Backspace" || (event.key === "ArrowLeft" && cell.column === 0)) zoom(focus.parent);
        else if (neighbour(cell, event.key)) {
            cell.element.tabIndex = -1;
            const next = neighbour(cell, event.key).element;
            next.tabIndex = 0;
            next.focus();
        } else if (!event.key.startsWith("Arrow")) return;
        event.preventDefault();
    });
    byId("tree-out").addEventListener("click", () => zoom(focus.parent ?? root));
    byId("tree-list").addEventListener("click", () => visit({ under: focus.key ?? gathered(focus) }));
    for (const radio of document.querySelectorAll("input[name=tree-size]")) {
        radio.addEventListener("change", () => {
            key = radio.value;
            draw(false);
        });
    }
    let width = box.clientWidth;
    window.addEventListener("resize", () => {
        if (box.clientWidth === width) return;
        width = box.clientWidth;
        draw(false);
    });
    draw(false);
    return { follow, imagesUnder };
})();

