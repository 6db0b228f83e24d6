/** Commands that run workflows and steer the queue. */

import { liveOf } from "../api/live.js";
import { ApiError } from "../api/http.js";
import { FINAL, nodeOf } from "../store/runs.js";
import { runnerOf } from "../views/runner.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Command} Command */

const GROUP = "Run";

/** @type {readonly Command[]} */
export const COMMANDS = [
  {
    id: "run.run",
    title: "Run",
    group: GROUP,
    keys: ["Mod+Enter"],
    typing: true,
    when: hasNodes,
    run: (editor) => runnerOf(editor).run(),
  },
  {
    id: "run.front",
    title: "Run before all that waits",
    group: GROUP,
    keys: ["Mod+Shift+Enter"],
    typing: true,
    when: hasNodes,
    run: (editor) => runnerOf(editor).run({ front: true }),
  },
  {
    id: "run.toNode",
    title: "Run up to the selected nodes",
    group: GROUP,
    keys: ["Alt+Enter"],
    when: (editor) => editor.selectedNodes.length > 0,
    run: (editor) =>
      runnerOf(editor).run({ targets: editor.selectedNodes.map((id) => nodeOf(editor.session.path, id)) }),
  },
  {
    id: "run.cancel",
    title: "Cancel the run",
    group: GROUP,
    keys: ["Mod+Alt+Enter"],
    typing: true,
    when: (editor) => pendingOf(editor).length > 0 || liveOf(editor).outbox.of(editor.session.id).length > 0,
    run: cancel,
  },
  {
    id: "run.onChange",
    title: "Run on every change",
    group: GROUP,
    keys: [],
    run: (editor) => runnerOf(editor).toggleOnChange(),
  },
  {
    id: "queue.pause",
    title: "Pause or resume the queue",
    group: GROUP,
    keys: [],
    run: async (editor) => {
      await (editor.runs.queue.paused ? editor.api.resume() : editor.api.pause());
    },
  },
  {
    id: "queue.clear",
    title: "Cancel all that waits in the queue",
    group: GROUP,
    keys: [],
    when: (editor) => editor.runs.queued().length > 0,
    run: clear,
  },
  {
    id: "live.reconnect",
    title: "Connect to the server at once",
    group: GROUP,
    keys: [],
    when: (editor) => liveOf(editor).connection.state === "down",
    run: (editor) => liveOf(editor).retry(),
  },
];

/** @param {Editor} editor */
function hasNodes(editor) {
  return editor.session.document.nodes.size > 0;
}

/** The jobs of the open tab that have not ended. @param {Editor} editor */
function pendingOf(editor) {
  return liveOf(editor).tabs.jobsOf(editor.session).filter(({ state }) => !FINAL.has(state));
}

/** Cancel the tab's job that runs, else the last one that waits. @param {Editor} editor */
async function cancel(editor) {
  if (liveOf(editor).outbox.withdraw(editor.session.id)) return;
  const jobs = pendingOf(editor);
  const job = jobs.find(({ state }) => state === "running" || state === "waiting") ?? jobs[0];
  if (job) await cancelJob(editor, job.id);
}

/**
 * Cancel a job; its row says at once that it was asked to stop.
 * @param {Editor} editor
 * @param {string} id
 */
export async function cancelJob(editor, id) {
  const job = editor.runs.jobs.get(id);
  if (job) editor.runs.jobs.set(id, { ...job, cancelling: true });
  editor.emit({ type: "run", job: id, node: null });
  try {
    liveOf(editor).tell(editor.runs.applyJob(await editor.api.cancel(id)));
  } catch (error) {
    const now = editor.runs.jobs.get(id);
    if (now) editor.runs.jobs.set(id, { ...now, cancelling: false });
    editor.emit({ type: "run", job: id, node: null });
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

/** @param {Editor} editor */
async function clear(editor) {
  const count = editor.runs.pending().filter(({ state }) => state === "queued").length;
  const answer = await editor.ask({
    title: count === 1 ? "Cancel the job that waits?" : `Cancel all ${count} jobs that wait?`,
    body: "What runs goes on.",
    choices: [{ value: "clear", title: "Cancel them", kind: "danger" }],
  });
  if (answer !== "clear") return;
  const { count: cancelled } = await editor.api.clear();
  editor.notify({ text: cancelled === 1 ? "One job was cancelled." : `${cancelled} jobs were cancelled.` });
}
