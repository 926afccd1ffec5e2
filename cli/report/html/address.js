// What is looked at, as the address of the page says it, so that it can be linked, kept and gone back from:
// #image=sha256:..., #tree=family:debian, and of the table any of its filters: #family=debian&outdated=yes&sort=bytes.

const TABLE_KEYS = ["answer", "family", "remark", "change", "outdated", "on", "under", "search", "sort", "down"];

const asked = () => new URLSearchParams(location.hash.slice(1));
const addressOf = (question) => {
    const told = new URLSearchParams(Object.entries(question).filter(([, value]) => value !== undefined && value !== null));
    // Signs that mean nothing there stay as they are, to be read.
    return `#${told.toString().replaceAll("%3A", ":").replaceAll("%2F", "/")}`;
};
const hrefOf = (image) => addressOf({ image: image.id });

// What an entry of the browser's history holds, so that one that was left is known when it is gone back to.
const SEEN = { isSeen: true };
const whole = (address) => (address === "#" ? location.pathname + location.search : address);

// Makes what is shown a step that the browser can go back from.
function push(question) {
    rememberNow();
    const address = addressOf(question);
    if (whole(address) !== whole(location.hash || "#")) history.pushState(SEEN, "", whole(address));
}

function visit(question) {
    push(question);
    followAddress();
}

// Says where one is already, and adds no step. Typing is waited for: browsers refuse a new address with every letter.
let later;
let waiting = null;
function remember(question, isTyping) {
    waiting = question;
    clearTimeout(later);
    later = setTimeout(rememberNow, isTyping ? 200 : 0);
}
function rememberNow() {
    clearTimeout(later);
    if (waiting && !asked().has("image")) history.replaceState(SEEN, "", whole(addressOf(waiting)));
    waiting = null;
}

// Pushes the dialog of an image away as the way it was opened: back to what was there, or to no image at all.
function leaveImage() {
    if (!asked().has("image")) return;
    const steps = history.state?.images ?? -1;
    if (steps > 0) history.go(-steps);
    else history.replaceState(SEEN, "", whole("#"));
}

// How many images were opened one from another since the page was left for the first; -1 where nothing is behind it.
let opened = -1;
let isFollowed = false;

function countImages(isImage) {
    const before = isFollowed ? opened : -1;
    if (!isImage) opened = 0;
    else {
        if (history.state?.images === undefined) history.replaceState({ images: before < 0 ? -1 : before + 1 }, "");
        opened = history.state.images;
    }
    isFollowed = true;
}

function followAddress(event) {
    waiting = null;
    const isBack = event !== undefined && history.state !== null;
    const question = asked();
    const image = imageById.get(question.get("image"));
    countImages(image !== undefined);
    if (image) return showPanel(image);
    if (panel.open) panel.close();
    if (question.has("tree")) return tree.follow(question.get("tree"));
    if (TABLE_KEYS.some((key) => question.has(key))) return table.follow(question, isBack);
    if (location.hash === "") {
        table.follow(question, isBack);
        tree.follow("");
    }
}
window.addEventListener("popstate", followAddress);
