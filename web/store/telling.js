/** Telling several listeners of what happened. */

/**
 * Tell all listeners of each event. One that fails keeps no other from hearing of it: whoever saves has to hear of an
 * edit that somebody else could not draw. The first failure is raised when all were told.
 * @template T
 * @param {Iterable<(event: T) => void>} listeners
 * @param {Iterable<T>} events
 */
export function tellAll(listeners, events) {
  /** @type {{error: unknown} | null} */
  let failure = null;
  for (const event of events) {
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  if (failure) throw failure.error;
}
