/** The theme: the system's, unless the user chose; the root element says which, for the style. */

/** @typedef {import("../../editor.js").Editor} Editor */

/** @param {Editor} editor */
export function mount(editor) {
  const more = matchMedia("(prefers-contrast: more)");
  const light = matchMedia("(prefers-color-scheme: light)");
  const show = () => {
    const theme = editor.settings.get("theme");
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    if (editor.settings.get("contrast") || more.matches) root.dataset.contrast = "more";
    else delete root.dataset.contrast;
  };
  const off = editor.settings.onChange((name) => (name === "theme" || name === "contrast") && show());
  more.addEventListener("change", show);
  light.addEventListener("change", show);
  show();
  return {
    destroy() {
      off();
      more.removeEventListener("change", show);
      light.removeEventListener("change", show);
    },
  };
}
