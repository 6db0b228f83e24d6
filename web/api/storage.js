/** What the browser keeps for the page. */

/**
 * @param {"localStorage" | "sessionStorage"} kind
 * @returns {Storage | null} null where the browser lets nothing be stored
 */
export function browserStorage(kind) {
  try {
    return window[kind];
  } catch {
    return null;
  }
}
