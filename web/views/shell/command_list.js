/** The list of all commands, with their keys. */

import { fuzzy } from "../../store/search.js";
import { openChooser } from "./chooser.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("./chooser.js").Row & {id: string, more: string, boost: number}} Entry */

/** @param {Editor} editor */
export function openCommandList(editor) {
  const entries = entriesOf(editor);
  return openChooser({
    name: "commands",
    label: "Commands",
    placeholder: "Search commands",
    search: (query) => (query === "" ? entries.map((row) => ({ row, marks: [] }))
      : fuzzy(query, entries).map(({ entry, marks }) => ({ row: { ...entry, group: undefined }, marks }))),
    choose: (entry) => editor.perform(entry.id),
    empty: () => "No command of that name.",
  });
}

/**
 * All commands by their groups; those that cannot be done now are dim, and last.
 * @param {Editor} editor
 * @returns {Entry[]}
 */
function entriesOf(editor) {
  const commands = editor.commands.all().filter((command) => command.id !== "commands.open");
  const groups = [...new Set(commands.map((command) => command.group))];
  commands.sort((a, b) => groups.indexOf(a.group) - groups.indexOf(b.group));
  const can = new Set(commands.filter((command) => command.when === undefined || command.when(editor)));
  return [...can, ...commands.filter((command) => !can.has(command))].map((command) => ({
    id: command.id,
    text: command.title,
    more: `${command.group} ${command.id}`,
    boost: can.has(command) ? 0 : -25,
    hint: "",
    group: can.has(command) ? command.group : "Not now",
    key: editor.keys.label(command),
    disabled: !can.has(command),
    data: { command: command.id },
  }));
}
