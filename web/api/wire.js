/** What the server's answers hold, as far as the editor looks at it. Types only; importing this does nothing. */

/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {import("../store/types.js").JobState} JobState */
/** @typedef {import("../store/types.js").Problem} Problem */

/**
 * @typedef {Object} Failure
 * @property {string} code
 * @property {string} message
 * @property {string | null} node
 * @property {string | null} type
 * @property {string | null} reference what to look for in the server's log
 * @property {Problem[]} problems
 */

/**
 * @typedef {Object} Question
 * @property {string} node
 * @property {string} question
 * @property {Json[]} choices empty: any JSON may be answered
 * @property {string[]} outputs ids of pictures of it
 */

/**
 * A job as lists tell it. Times are seconds since 1970.
 * @typedef {Object} JobSummary
 * @property {string} id
 * @property {number} seq
 * @property {string} user
 * @property {JobState} state
 * @property {string} name
 * @property {string} client
 * @property {number} nodes how many
 * @property {number} priority
 * @property {number} position
 * @property {string | null} batch
 * @property {number | null} index
 * @property {string | null} retry_of
 * @property {number} attempts
 * @property {string | null} device
 * @property {number} created
 * @property {number | null} started
 * @property {number | null} ended
 * @property {number} seconds
 * @property {Failure | null} failure
 * @property {Question[]} questions
 */

/**
 * A node of a job.
 * @typedef {Object} NodeAnswer
 * @property {string} node
 * @property {string} type
 * @property {string} state
 * @property {number | null} value
 * @property {number | null} total
 * @property {string} message
 * @property {number} seconds
 */

/**
 * @typedef {JobSummary & {progress: number, left: number | null, place: number | null, cancelling: boolean,
 *   node_states: NodeAnswer[]}} LiveJob
 */

/**
 * All about a job.
 * @typedef {LiveJob & {inputs: JsonObject, targets: string[], answers: JsonObject, values: JsonObject,
 *   outputs: Output[]}} JobAnswer
 */

/**
 * A file that a job wrote.
 * @typedef {Object} Output
 * @property {string} id
 * @property {number} seq
 * @property {string} job
 * @property {string} node
 * @property {number} ordinal
 * @property {string} name
 * @property {string} kind `output`, or `temp` for what is removed after a day
 * @property {string} media
 * @property {number} size
 * @property {number | null} width
 * @property {number | null} height
 * @property {number} created
 * @property {string} url
 * @property {string | null} thumbnail
 */

/**
 * @typedef {Object} Device
 * @property {string} id
 * @property {string} device
 * @property {"starting" | "idle" | "busy" | "paused" | "restarting" | "dead"} state
 * @property {string | null} job
 * @property {number} memory
 * @property {string} reason
 */

/** @typedef {{paused: boolean, reason: string | null, queued: number, running: number, waiting: number}} QueueState */
/** @typedef {QueueState & {devices: Device[], jobs: LiveJob[]}} QueueAnswer */

/**
 * A file that workflows may load by its name.
 * @typedef {{name: string, size: number, modified: number, media: string, own: boolean, url: string,
 *   thumbnail: string | null}} InputFile
 */
/**
 * @typedef {{name: string, etag: string, revision: number, modified: number, size: number,
 *   deleted: boolean}} SavedWorkflow
 */
/** @typedef {{number: number, etag: string | null, modified: number, size: number,
 *   autosave: boolean}} Revision */
/**
 * What a run would do with a node: `unneeded` where all that read it are reused, `open` where it is known later.
 * @typedef {{node: string, action: "run" | "reuse" | "unneeded" | "open", reason: string}} Decision
 */
/** @typedef {{ok: boolean, problems: Problem[], plan: Decision[]}} Plan */

export {};
