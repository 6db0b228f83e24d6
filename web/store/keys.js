/**
 * Keys: what was pressed as a chord such as `Mod+Shift+Z`, and which commands a chord does. Mod is Ctrl, or Cmd on a
 * Mac. Users bind keys anew; what they chose is held apart from what the commands bring.
 */

/** @typedef {import("./types.js").Command} Command */
/**
 * A key as a browser tells of it.
 * @typedef {{readonly key: string, readonly code: string, readonly ctrlKey: boolean, readonly metaKey: boolean,
 *   readonly altKey: boolean, readonly shiftKey: boolean}} Pressed
 */

const NAMES = new Map([[" ", "Space"], ["Esc", "Escape"], ["Del", "Delete"], ["+", "Plus"]]);
const MODIFIERS = new Set(["Control", "Shift", "Alt", "Meta", "AltGraph", "CapsLock", "Unidentified", "Process"]);
const ORDER = ["Mod", "Ctrl", "Alt", "Shift"];
const SHOWN = new Map([
  ["Escape", "Esc"], ["Delete", "Del"], ["ArrowLeft", "←"], ["ArrowRight", "→"], ["ArrowUp", "↑"], ["ArrowDown", "↓"],
  ["Plus", "+"], ["Backspace", "⌫"],
]);
const MAC = new Map([["Mod", "⌘"], ["Ctrl", "⌃"], ["Alt", "⌥"], ["Shift", "⇧"]]);

/**
 * Return the chords that a key may stand for, the likeliest first; none where it is only a modifier. A sign is found
 * with Shift and without, since where it lies differs; a letter that is not Latin is found by its place.
 * @param {Pressed} event
 * @param {boolean} [mac]
 * @returns {string[]}
 */
export function chords(event, mac = false) {
  if (MODIFIERS.has(event.key)) return [];
  const mod = mac ? event.metaKey : event.ctrlKey;
  const held = [mod && "Mod", mac && event.ctrlKey && "Ctrl", event.altKey && "Alt"].filter((name) => name !== false);
  const shift = event.shiftKey ? ["Shift"] : [];
  const found = [];
  const [key, sign] = named(event.key);
  const place = placed(event.code);
  if (key !== "") found.push([...held, ...shift, key]);
  if (place !== "" && (sign || !/^[A-Z0-9]$/.test(key))) found.push([...held, ...shift, place]);
  if (sign) found.push([...held, key]);
  return [...new Set(found.map((parts) => parts.join("+")))];
}

/**
 * @param {string} key
 * @returns {[string, boolean]} its name, and whether it is a sign, neither letter nor digit
 */
function named(key) {
  if (key === "Dead") return ["", false];
  const name = NAMES.get(key) ?? key;
  if (name.length > 1) return [name, name === "Plus"];
  return /^[a-z0-9]$/i.test(name) ? [name.toUpperCase(), false] : [name, /^[!-~]$/.test(name)];
}

/** @param {string} code the place on the keyboard */
function placed(code) {
  return /^(?:Key([A-Z])|Digit([0-9]))$/.exec(code)?.slice(1).find(Boolean) ?? "";
}

/**
 * Return a chord in the one way that it is written here; "" where it is none.
 * @param {string} chord
 */
export function normal(chord) {
  const parts = chord.trim().split("+").map((part) => part.trim());
  const key = parts.pop() ?? "";
  if (key === "" || parts.some((part) => !ORDER.includes(part))) return "";
  const name = named(key)[0];
  return [...ORDER.filter((part) => parts.includes(part)), name].join("+");
}

/**
 * Return a chord as it is shown to the user.
 * @param {string} chord
 * @param {boolean} [mac]
 */
export function shown(chord, mac = false) {
  const parts = chord.split("+").map((part) => SHOWN.get(part) ?? (mac ? MAC.get(part) : undefined) ?? part);
  return mac ? parts.join("") : parts.map((part) => (part === "Mod" ? "Ctrl" : part)).join("+");
}

/** Which keys do which commands. */
export class Keys {
  /** @type {Map<string, string[]> | null} chord to the ids of commands */
  #byChord = null;

  /**
   * @param {() => readonly Command[]} commands
   * @param {() => ReadonlyMap<string, readonly string[]>} chosen the user's own, by the command's id
   * @param {boolean} [mac]
   */
  constructor(commands, chosen, mac = false) {
    this.commands = commands;
    this.chosen = chosen;
    this.mac = mac;
  }

  /** Look at the commands and the user's keys anew. */
  refresh() {
    this.#byChord = null;
  }

  /** @param {Command} command @returns {readonly string[]} */
  of(command) {
    return this.chosen().get(command.id) ?? command.keys;
  }

  /** The first key of a command as it is shown; "" where it has none. @param {Command} command */
  label(command) {
    const [first] = this.of(command);
    return first === undefined ? "" : shown(first, this.mac);
  }

  /** @param {string} chord @returns {readonly string[]} ids of commands, those that the user bound first */
  find(chord) {
    this.#byChord ??= this.#index();
    return this.#byChord.get(normal(chord)) ?? [];
  }

  #index() {
    /** @type {Map<string, string[]>} */
    const found = new Map();
    const chosen = this.chosen();
    const commands = [...this.commands()].sort((a, b) => Number(chosen.has(b.id)) - Number(chosen.has(a.id)));
    for (const command of commands) {
      for (const key of this.of(command)) {
        const chord = normal(key);
        found.set(chord, [...(found.get(chord) ?? []), command.id]);
      }
    }
    return found;
  }

  /**
   * Return the chords that several commands have, with the ids of those.
   * @returns {Map<string, readonly string[]>}
   */
  conflicts() {
    this.#byChord ??= this.#index();
    return new Map([...this.#byChord].filter(([, ids]) => ids.length > 1));
  }
}
