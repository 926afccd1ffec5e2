// Figures for people, as the server-made part of the page writes them, and elements whose text is always text.

const wholeFormat = new Intl.NumberFormat("en");
const count = (number) => wholeFormat.format(number);
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

// Rounded half up; but more than nothing never reads as nothing, nor less than all as all.
function percent(share) {
    const tenths = Math.round(share * 1000 * (1 + 2 * Number.EPSILON));
    if (share > 0 && tenths < 1) return "<0.1 %";
    if (share < 1 && tenths >= 1000) return ">99.9 %";
    return `${(tenths / 10).toFixed(1)} %`;
}

function bytes(size) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let at = 0;
    while (size >= 1024 && at < units.length - 1) {
        size /= 1024;
        at += 1;
    }
    return at === 0 ? `${size} B` : `${size.toFixed(2)} ${units[at]}`;
}

const day = (time) => (time ? time.slice(0, 10) : "");
const shortId = (id) => id.slice(id.indexOf(":") + 1).slice(0, 12);
const textOf = (names) => (names.length ? names.join(", ") : "(no name)");

// Makes an element. Strings become text, never markup: whatever a name holds, it is shown and does nothing.
function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
        if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
}

// A name from outside, whose direction of writing stays its own.
const name = (text) => el("bdi", {}, text);
const byId = (id) => document.getElementById(id);

// A long name whose middle is left out where there is no room: names that begin alike differ in their ends.
function clipped(text) {
    const chars = [...text];
    if (chars.length <= 26) return name(text);
    return el("bdi", { class: "clip", title: text }, el("span", {}, chars.slice(0, -10).join("")), chars.slice(-10).join(""));
}
