/** What is live on the page, in one list: views with their places, panels, commands. */

import { COMMANDS } from "../commands/run.js";
import { mount as mountConnection } from "./connection.js";
import { mount as mountDrop } from "./drop.js";
import { mount as mountMarks } from "./nodemarks.js";
import { mount as mountBadges } from "./panels/badges.js";
import { mount as mountHistory } from "./panels/history.js";
import { mount as mountProblems } from "./panels/problems.js";
import { mount as mountQueue } from "./panels/queue.js";
import { mount as mountProgress } from "./progress.js";

/** @typedef {import("../editor.js").Editor} Editor */

export const LIVE_COMMANDS = COMMANDS;

/** @type {readonly (readonly [string, (editor: Editor, host: HTMLElement) => {destroy(): void}])[]} */
export const LIVE_VIEWS = [
  ["#run", mountProgress],
  ["#banners", mountConnection],
  ["#canvas", mountMarks],
  ["#stage", mountDrop],
  ["#dockrail", mountBadges],
];

/** @type {readonly import("./shell/panels.js").Panel[]} */
export const LIVE_PANELS = [
  { id: "queue", title: "Queue", icon: "queue", mount: mountQueue, keys: ["Q"] },
  { id: "history", title: "History", icon: "gallery", mount: mountHistory, keys: ["H", "G"] },
  { id: "problems", title: "Problems", icon: "warning", mount: mountProblems },
];
