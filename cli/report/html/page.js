// What holds the parts together: the theme, and figures that are questions to the table.

const themes = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (themes.matches ? "dark" : "light")) === "dark";
const themeButton = byId("theme");
const sayTheme = () => (themeButton.textContent = isDark() ? "Light theme" : "Dark theme");
themeButton.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try {
        localStorage.setItem("layerprint-theme", chosen);
    } catch {
        // No storage: it is forgotten with the page.
    }
    sayTheme();
});
themes.addEventListener("change", sayTheme);
sayTheme();

// Figures become links to what they count, and names to their images: both can be kept, and opened elsewhere.
for (const link of document.querySelectorAll("[data-answer], [data-family], [data-remark], [data-change], [data-outdated], [data-on]")) {
    const { on, ...question } = link.dataset;
    if (on !== undefined) question.on = textOf(data.names[data.bases[on].names]);
    link.href = addressOf(question);
    link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        visit(question);
    });
}
for (const link of document.querySelectorAll("[data-image]")) link.href = addressOf({ image: link.dataset.image });

window.addEventListener("beforeprint", () => table.print(true));
window.addEventListener("afterprint", () => table.print(false));
document.documentElement.classList.add("ready");
followAddress();
