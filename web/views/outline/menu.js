/** All that can be done with a row of the outline, as a menu. */

/** @typedef {import("./build.js").Branch} Branch */
/** @typedef {import("../shell/menu.js").Entry} Entry */
/** @typedef {{[name in "act" | "wire" | "remove" | "rename" | "mute" | "bypass" | "run" | "add"]: () => unknown}} Doing */

/** @param {Branch} branch @param {Doing} doing @returns {Entry[]} */
export function entriesOf(branch, doing) {
  const wired = branch.kind === "link" || (branch.kind === "input" && branch.source !== null);
  const isNode = branch.kind === "node";
  const isThing = isNode || branch.node === "";
  return [
    ...(isNode ? [entry("Show on the canvas", "fit", doing.act, "Enter")] : []),
    ...(branch.kind === "input" && branch.port?.field && !wired ? [entry("Edit its value", "edit", doing.act, "Enter")] : []),
    ...(branch.node === "" ? [] : [entry("Wire…", "link", doing.wire)]),
    ...(wired ? [entry("Remove the link", "unlink", doing.remove, "Delete")] : []),
    ...(isThing ? [entry("Rename…", "edit", doing.rename, "F2")] : []),
    ...(isNode ? [entry("Mute, or let run", "mute", doing.mute), entry("Bypass, or let run", "bypass", doing.bypass),
      entry("Run up to this node", "play", doing.run)] : []),
    entry("Add a node…", "plus", doing.add, "Insert"),
    ...(isThing ? [entry("Delete", "trash", doing.remove, "Delete")] : []),
  ];
}

/** @param {string} title @param {string} icon @param {() => unknown} run @param {string} [hint] */
function entry(title, icon, run, hint = "") {
  return { title, icon, run, hint };
}
