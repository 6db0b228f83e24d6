/** Questions of jobs, answered where they are asked: on the node. */

import { address, partOf } from "../api/http.js";
import { liveOf } from "../api/live.js";
import { parse, stringify } from "../store/json.js";
import { el } from "./dom.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../api/wire.js").Question} Question */
/** @typedef {{readonly job: string, readonly question: Question}} Asked */

const LINE = 18;
const CHARACTER = 6.9;
const BUTTON = 36;
const GAP = 8;
const LARGEST = 220;

/**
 * Return what a node asks in the job that the open tab shows.
 * @param {Editor} editor
 * @param {string} node its id in jobs; what is in it counts
 * @returns {Asked | null}
 */
export function questionOf(editor, node) {
  const { session, runs } = editor;
  const job = session.job === null ? undefined : runs.jobs.get(session.job);
  if (job?.state !== "waiting") return null;
  const question = job.questions.find((one) => one.node === node || one.node.startsWith(`${node}/`));
  return question ? { job: job.id, question } : null;
}

/** @param {Question} question @param {number} width */
export function questionHeight(question, width) {
  const lines = Math.min(4, Math.ceil((question.question.length * CHARACTER) / width) || 1);
  const pictures = question.outputs.length;
  const columns = columnsOf(pictures);
  const side = Math.min(LARGEST, Math.floor((width - (columns - 1) * GAP) / columns));
  const rows = Math.min(4, Math.ceil(pictures / columns));
  const choosing = picksPictures(question);
  const buttons = choosing && question.choices.length > 0 ? 0 : Math.ceil(question.choices.length / 3) || 1;
  return lines * LINE + rows * (side + GAP) + buttons * BUTTON + 2 * GAP;
}

/** @param {number} count */
function columnsOf(count) {
  return count <= 1 ? 1 : count <= 4 ? 2 : 3;
}

/** Tell whether the answers are places among the pictures. @param {Question} question */
function picksPictures({ choices, outputs }) {
  const places = choices.every((choice, at) => choice === at);
  return outputs.length > 0 && places && (choices.length === 0 || choices.length === outputs.length);
}

/**
 * Make the element that asks a question and sends the answer.
 * @param {Editor} editor
 * @param {Asked} asked
 * @returns {HTMLElement}
 */
export function questionElement(editor, asked) {
  const { question } = asked;
  const text = el("p", { class: "question-text", text: question.question });
  const element = el("div", { class: "question", role: "group", "aria-label": question.question,
    data: { question: question.node } }, text);
  const send = async (/** @type {Json} */ answer) => {
    element.inert = true;
    try {
      const job = await editor.api.answer(asked.job, { [question.node]: answer });
      liveOf(editor).tell(editor.runs.applyJob(job));
    } catch (error) {
      element.inert = false;
      editor.fail("The answer was not taken", error);
    }
  };
  if (!picksPictures(question)) element.append(question.choices.length > 0 ? choices(question, send) : free(send));
  if (question.outputs.length > 0) element.append(pictures(question, send));
  return element;
}

/**
 * @param {Question} question
 * @param {(answer: Json) => unknown} send
 */
function choices({ choices }, send) {
  const buttons = choices.map((choice, at) =>
    el("button", { class: at === 0 ? "button primary" : "button", type: "button", data: { choice: String(choice) },
      text: typeof choice === "string" ? choice : stringify(choice), on: { click: () => send(choice) } }));
  return el("div", { class: "question-choices" }, ...buttons);
}

/**
 * @param {Question} question
 * @param {(answer: Json) => unknown} send
 */
function pictures(question, send) {
  const { outputs } = question;
  const columns = columnsOf(outputs.length);
  const grid = el("div", { class: "question-pictures", style: { "--columns": String(columns) } });
  if (!picksPictures(question)) {
    grid.append(...outputs.map((id) => picture(id, "What is asked about")));
    return grid;
  }
  const several = question.choices.length === 0;
  /** @type {Set<number>} */
  const chosen = new Set();
  const done = el("button", { class: "button primary", type: "button", text: "Choose", disabled: true,
    on: { click: () => send([...chosen].sort((a, b) => a - b)) } });
  const toggle = (/** @type {number} */ at, /** @type {HTMLElement} */ button) => {
    if (!chosen.delete(at)) chosen.add(at);
    button.setAttribute("aria-pressed", String(chosen.has(at)));
    done.disabled = chosen.size === 0;
    done.textContent = chosen.size > 1 ? `Choose ${chosen.size}` : "Choose";
  };
  for (const [at, id] of outputs.entries()) {
    const button = el("button", { class: "question-picture", type: "button", "aria-label": `Picture ${at + 1}`,
      data: { choice: at } }, picture(id, ""));
    if (several) button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => (several ? toggle(at, button) : send(question.choices[at] ?? at)));
    grid.append(button);
  }
  if (!several) return grid;
  return el("div", { class: "question-several" }, grid, el("div", { class: "question-choices" }, done));
}

/** @param {string} id @param {string} alt */
function picture(id, alt) {
  const src = address(`/outputs/${partOf(id)}/thumbnail`, { size: 512 });
  return el("img", { src, alt, draggable: "false", decoding: "async" });
}

/** @param {(answer: Json) => unknown} send */
function free(send) {
  const input = el("input", { class: "input", type: "text", "aria-label": "Answer", placeholder: "Answer" });
  const form = el("form", { class: "question-free" }, input, el("button", { class: "button primary", text: "Send" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(readAnswer(input.value));
  });
  return form;
}

/** Whatever is no JSON is a text. @param {string} text @returns {Json} */
function readAnswer(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}
