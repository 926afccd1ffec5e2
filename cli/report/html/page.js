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

for (const link of document.querySelectorAll("[data-answer], [data-family], [data-remark], [data-change], [data-outdated]")) {
    link.addEventListener("click", (event) => {
        event.preventDefault();
        const { answer, family, remark, change, outdated } = link.dataset;
        const nodeImages = outdated === undefined ? undefined : images.filter((image) => image.isOutdated);
        table.only({ answer, family, remark, change, nodeImages, label: "on an outdated base" });
    });
}
document.documentElement.classList.add("ready");
followAddress();
