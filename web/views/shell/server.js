/** What is told of the server: its state, its API, how to get in, and the way out. */

import { isObject } from "../../store/json.js";
import { el } from "../dom.js";
import { openDialog } from "./dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */

const LINKS = [
  ["/api/v1/queue", "Queue", "what runs and what waits"],
  ["/api/v1/jobs", "Jobs", "everything that was submitted"],
  ["/api/v1/outputs", "Outputs", "the pictures that were made"],
  ["/api/v1/nodes", "Nodes", "what workflows are made of"],
  ["/api/v1/models", "Models", "what is on the disk"],
  ["/openapi.json", "API", "the OpenAPI 3.1 document"],
];

/** @param {Editor} editor */
export async function openServer(editor) {
  const system = await editor.api.system();
  const out = el("button", { class: "button", type: "button", data: { command: "server.logout" }, text: "Log out",
    on: { click: () => {
      dialog.close();
      editor.perform("server.logout");
    } } });
  const dialog = openDialog({ name: "server", title: "Server", size: "normal", body: [facts(system),
    el("h3", { text: "As JSON" }), el("ul", { class: "link-list" }, ...LINKS.map(linkOf)),
    el("h3", { text: "From a shell" }), el("pre", { class: "code" },
      el("code", { text: 'nodegraph submit picture.json --set prompt="a red circle"' })),
    el("p", { class: "dim" }, "From another machine it takes ", el("code", { text: "--server" }), " and a token from ",
      el("code", { text: "nodegraph users token NAME" }), ".")], foot: out });
  return dialog;
}

/** @param {readonly string[]} link */
function linkOf([href, title, told]) {
  const link = el("a", { href, target: "_blank", rel: "noopener", text: title });
  return el("li", {}, link, el("span", { class: "dim", text: told }));
}

/** @param {JsonObject} system */
function facts(system) {
  const user = part(system.user);
  const disk = part(system.disk);
  const devices = Array.isArray(system.devices) ? system.devices.map((device) => nameOf(part(device))) : [];
  const rows = [
    ["nodegraph", `${system.version}, Python ${system.python}`],
    ["User", `${user.user}${user.admin === true ? ", admin" : ""}`],
    ["Devices", devices.join(", ") || "none"],
    ["Disk", `${gigabytes(disk.free)} of ${gigabytes(disk.total)} free`],
    ["Notice", typeof system.notice === "string" ? system.notice : ""],
  ];
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value !== "")
    .flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));
}

/** @param {Json | undefined} json @returns {JsonObject} */
function part(json) {
  return isObject(json) ? json : {};
}

/** @param {JsonObject} device */
function nameOf(device) {
  return [device.id, device.name].filter((name) => typeof name === "string" && name !== "").join(" ") || "a device";
}

/** @param {Json | undefined} bytes */
function gigabytes(bytes) {
  return `${(Number(bytes) / 2 ** 30).toFixed(0)} GB`;
}

/** Log out, and say how to get in again. @param {Editor} editor */
export async function logout(editor) {
  const me = await editor.api.me();
  if (me.via === "open") {
    editor.notify({ text: "This server asks nobody for a token, so there is nothing to log out of." });
    return;
  }
  await editor.api.logout();
  openSignIn("You are logged out.");
}

/**
 * Say how to get in: the server asks for a link that works once. Nothing else is shown, and there is no way past it but
 * to try again.
 * @param {string} [first]
 */
export function openSignIn(first = "This server asks for a token.") {
  const again = el("button", { class: "button primary", type: "button", text: "Try again",
    on: { click: () => location.reload() } });
  const dialog = openDialog({ name: "sign-in", title: "Log in", body: [el("p", { text: first }),
    el("p", { text: "Open the link that the server printed when it started; it works once. For another one, run this "
      + "on the machine that the server runs on:" }),
    el("pre", { class: "code" }, el("code", { text: "nodegraph users link owner" }))], foot: again });
  // Not by `:has`: each dialog and menu would have the styles of the whole page computed anew.
  document.body.dataset.signedOut = "";
  void dialog.result.then(() => location.reload());
  return dialog;
}
