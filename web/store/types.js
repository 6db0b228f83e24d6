/**
 * What the editor is made of: the shapes of its values. Types only; importing this does nothing.
 *
 * A document never changes: each edit makes a new one that shares what stayed the same. Undo is a list of documents,
 * and whoever draws compares by identity. Whatever a file names freely (nodes, inputs, subgraphs) is a key of a `Map`,
 * so that a name such as `__proto__` is a name like any other.
 */

/**
 * An integer beyond 2^53 is a bigint.
 * @typedef {null | boolean | number | bigint | string | JsonList | JsonObject} Json
 */
/** @typedef {Json[]} JsonList */
/** @typedef {{[key: string]: Json}} JsonObject */

/** @typedef {{readonly x: number, readonly y: number}} Point In units of the canvas: pixels at 100 %. */
/** @typedef {{readonly x: number, readonly y: number, readonly width: number, readonly height: number}} Box */

/**
 * How a node is drawn; nothing in it changes a result.
 * @typedef {Object} NodeView
 * @property {number} x
 * @property {number} y
 * @property {number} [width]
 * @property {string} [title] shown in place of the type's
 * @property {string} [color] one of `COLORS`
 * @property {boolean} [collapsed]
 * @property {boolean} [pinned] is not moved
 * @property {{readonly [field: string]: number}} [rows] lines shown of fields with several lines, where set by hand
 */

/**
 * A node of a type, or an instance of the subgraph `graph`.
 * @typedef {Object} Node
 * @property {string | null} type
 * @property {string | null} graph
 * @property {ReadonlyMap<string, Json>} params what was typed, by input
 * @property {ReadonlyMap<string, string>} links what is wired: input to `"node.output"`
 * @property {"mute" | "bypass" | null} mode
 * @property {NodeView} view
 */

/**
 * A titled frame around nodes; what lies in it moves with it.
 * @typedef {{readonly title: string, readonly color?: string, readonly collapsed?: boolean, readonly x: number,
 *   readonly y: number, readonly width: number, readonly height: number}} Frame
 */
/**
 * A text on the canvas.
 * @typedef {{readonly text: string, readonly color?: string, readonly x: number, readonly y: number,
 *   readonly width: number, readonly height: number}} Note
 */

/**
 * A workflow, or a subgraph of one. In the file, what is drawn stands in `view`: nodes by their ids, and below
 * `.frames`, `.notes` and `.routes` the rest, which no node can be called.
 * @typedef {Object} Graph
 * @property {ReadonlyMap<string, Node>} nodes
 * @property {ReadonlyMap<string, readonly string[]>} inputs exposed name to `"node.input"` places
 * @property {ReadonlyMap<string, string>} outputs exposed name to `"node.output"`
 * @property {ReadonlyMap<string, Graph>} subgraphs
 * @property {ReadonlyMap<string, Frame>} frames
 * @property {ReadonlyMap<string, Note>} notes
 * @property {ReadonlyMap<string, readonly Point[]>} routes bends of a link, by the `"node.input"` that it leads to
 * @property {JsonObject} meta
 * @property {JsonObject} rest what of the file is not known here, kept as it was
 */

/** @typedef {"node" | "frame" | "note" | "route"} ItemKind */
/** @typedef {`${ItemKind}:${string}`} Item A thing on the canvas that can be selected: `node:sample`, `route:a.b:0`. */

/**
 * An input or an output of a node type.
 * @typedef {Object} Port
 * @property {string} name
 * @property {string} type the type's name, `Image` or `list[int]`
 * @property {boolean} required
 * @property {boolean} lazy
 * @property {Field | null} field how it is typed; null where it can only be wired
 * @property {boolean} wired whether a link may lead to it; only a body cannot be wired
 */

/**
 * @typedef {"integer" | "number" | "slider" | "seed" | "text" | "multiline" | "combo" | "toggle" | "color" | "file" |
 *   "mask" | "body" | "json"} FieldKind
 */

/**
 * How a value is typed, as its JSON Schema tells.
 * @typedef {Object} Field
 * @property {FieldKind} kind
 * @property {string | null} element the custom element of a plugin that draws it
 * @property {Json | undefined} default undefined where there is none
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {readonly Json[]} [choices]
 * @property {string} [folder] the kind of file: `input`, `checkpoints`
 * @property {boolean} [optional] whether null may be given
 * @property {JsonObject} schema
 */

/**
 * A node type, or the outside of a subgraph, or what can be told of a type that is not there (`missing`).
 * @typedef {Object} NodeType
 * @property {string} id
 * @property {string} title
 * @property {string} doc Markdown of a simple kind: paragraphs and `code`
 * @property {string} category parts with `/`
 * @property {string} plugin
 * @property {ReadonlyMap<string, Port>} inputs
 * @property {ReadonlyMap<string, Port>} outputs
 * @property {boolean} sink whether it is run for its own sake
 * @property {string | null} deprecated
 * @property {string | null} missing why the type is not there
 */

/** @typedef {"whole" | "each" | null} Fit How an output fits an input: as it is, item by item, not at all. */

/** @typedef {"queued" | "running" | "waiting" | "done" | "failed" | "cancelled"} JobState */
/** @typedef {"idle" | "running" | "cached" | "finished" | "failed" | "skipped" | "cancelled" | "waiting"} NodeState */

/**
 * What a node of a job does.
 * @typedef {Object} NodeRun
 * @property {NodeState} state
 * @property {number} value
 * @property {number} total 0 where it tells of no steps
 * @property {string} message
 * @property {number | null} seconds
 * @property {readonly string[]} warnings
 */

/**
 * A problem of a workflow, or why a node failed.
 * @typedef {Object} Problem
 * @property {string} code
 * @property {string} message
 * @property {string | null} node id, with `/` between a subgraph's instance and what is in it
 * @property {string | null} field
 */

/**
 * Everything that can happen, as whoever listens to the editor is told.
 * @typedef {{type: "document", before: Graph, after: Graph, label: string}
 *   | {type: "selection"}
 *   | {type: "scope"}
 *   | {type: "catalogue"}
 *   | {type: "session", id: string}
 *   | {type: "sessions"}
 *   | {type: "saving", id: string}
 *   | {type: "run", job: string, node: string | null}
 *   | {type: "preview", job: string, node: string}
 *   | {type: "queue"}
 *   | {type: "outputs"}
 *   | {type: "files"}
 *   | {type: "problems"}
 *   | {type: "connection"}
 *   | {type: "view"}} EditorEvent
 */

/**
 * Something that can be done, by a key, a menu or the list of commands.
 * @typedef {Object} Command
 * @property {string} id `graph.undo`
 * @property {string} title
 * @property {string} group
 * @property {readonly string[]} keys `Mod+Shift+Z`; Mod is Ctrl, or Cmd on a Mac
 * @property {(editor: import("../editor.js").Editor) => boolean} [when] whether it can be done now
 * @property {(editor: import("../editor.js").Editor, detail?: unknown) => unknown} run
 * @property {boolean} [typing] whether its keys work in a text field too
 */

/** The names of colours that nodes, frames and notes may have; what they look like is the style's. */
export const COLORS = /** @type {const} */ (["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"]);
