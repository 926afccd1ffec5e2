// Says that there is a script, and which theme was chosen last, before anything is drawn.
document.documentElement.classList.add("scripted");
try {
    const chosen = localStorage.getItem("layerprint-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
    // No storage: the system's theme it is.
}
