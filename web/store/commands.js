/** The commands: whatever can be done has an id here. Keys, menus, buttons and the list of commands only name it. */

/** @typedef {import("./types.js").Command} Command */

/** All commands by their ids. */
export class Commands {
  /** @type {Map<string, Command>} */
  #commands = new Map();

  /** @param {Iterable<Command>} commands @returns {() => void} takes them away again */
  add(commands) {
    const added = [...commands];
    for (const command of added) {
      if (this.#commands.has(command.id)) throw new Error(`there are two commands ${command.id}`);
      this.#commands.set(command.id, command);
    }
    return () => {
      for (const command of added) this.#commands.delete(command.id);
    };
  }

  /** @param {string} id @returns {Command | null} */
  get(id) {
    return this.#commands.get(id) ?? null;
  }

  /** @returns {Command[]} in the order in which they were added */
  all() {
    return [...this.#commands.values()];
  }
}
