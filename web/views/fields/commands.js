/** Commands for the field that has the focus. */

import { weigh } from "../../store/prompt.js";
import { fieldAt } from "./field.js";
import { PromptControl } from "./prompt.js";
import { SeedControl } from "./seed.js";

/** @typedef {import("../../store/types.js").Command} Command */

const GROUP = "Field";

/** @type {readonly Command[]} */
export const COMMANDS = [
  {
    id: "field.weightUp",
    title: "More weight for the words",
    group: GROUP,
    keys: ["Mod+ArrowUp"],
    typing: true,
    when: () => promptHere() !== null,
    run: () => promptHere()?.change((text, start, end) => weigh(text, start, end, 0.1)),
  },
  {
    id: "field.weightDown",
    title: "Less weight for the words",
    group: GROUP,
    keys: ["Mod+ArrowDown"],
    typing: true,
    when: () => promptHere() !== null,
    run: () => promptHere()?.change((text, start, end) => weigh(text, start, end, -0.1)),
  },
  {
    id: "field.reset",
    title: "Give the field its default",
    group: GROUP,
    keys: [],
    run: (_editor, detail) => targetOf(detail)?.reset(),
  },
  {
    id: "field.roll",
    title: "Roll another seed",
    group: GROUP,
    keys: [],
    when: () => seedsHere().length > 0,
    run: () => {
      for (const seed of seedsHere()) seed.roll();
    },
  },
];

/** The prompt that is being typed. */
function promptHere() {
  const control = fieldAt(document.activeElement)?.control;
  return control instanceof PromptControl ? control : null;
}

/** The seeds of the field with the focus, else of the selected nodes that are in view. */
function seedsHere() {
  const here = fieldAt(document.activeElement)?.control;
  if (here instanceof SeedControl) return [here];
  const found = [];
  for (const element of document.querySelectorAll('[data-node][data-selected] .field[data-kind="seed"]')) {
    const control = fieldAt(element)?.control;
    if (control instanceof SeedControl && !control.disabled) found.push(control);
  }
  return found;
}

/**
 * Find the field that is meant: that of the menu's target, else the one with the focus.
 * @param {unknown} detail
 */
function targetOf(detail) {
  if (typeof detail === "object" && detail !== null && "node" in detail && "field" in detail) {
    for (const element of document.querySelectorAll(".field")) {
      const node = element.closest("[data-node]");
      if (!(element instanceof HTMLElement && node instanceof HTMLElement)) continue;
      if (node.dataset.node === detail.node && element.dataset.field === detail.field) return fieldAt(element);
    }
    return null;
  }
  return fieldAt(document.activeElement);
}
