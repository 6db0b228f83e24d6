/** Rows of a list that are dragged to another place by pointer. */

/**
 * @param {HTMLElement} list whose rows have `data-movable` and `data-job`
 * @param {(id: string, place: {before?: string, after?: string}) => unknown} moved
 */
export function dragRows(list, moved) {
  /** @type {HTMLElement | null} */
  let row = null;
  let start = 0;
  list.addEventListener("pointerdown", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const found = target?.closest("[data-movable]");
    if (event.button !== 0 || !(found instanceof HTMLElement) || target?.closest(".job-buttons")) return;
    row = found;
    start = event.clientY;
  });
  list.addEventListener("pointermove", (event) => {
    if (row === null || (event.buttons & 1) === 0) return;
    if (!row.hasAttribute("data-dragged")) {
      if (Math.abs(event.clientY - start) < 5) return;
      list.setPointerCapture(event.pointerId);
      row.setAttribute("data-dragged", "");
    }
    row.style.translate = `0 ${event.clientY - start}px`;
    mark(list, row, event.clientY);
  });
  const end = (/** @type {PointerEvent} */ event) => {
    if (row?.hasAttribute("data-dragged")) {
      const place = event.type === "pointerup" ? mark(list, row, event.clientY) : null;
      const id = row.dataset.job;
      clear(list, row);
      if (place !== null && id !== undefined) moved(id, place);
      list.addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => list.removeEventListener("click", swallow, { capture: true }));
    }
    row = null;
  };
  list.addEventListener("pointerup", end);
  list.addEventListener("pointercancel", end);
}

/** The click that a drag ends with is none. @param {Event} event */
function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}

/**
 * Mark where a row would go.
 * @param {HTMLElement} list
 * @param {HTMLElement} row
 * @param {number} y
 * @returns {{before?: string, after?: string} | null}
 */
function mark(list, row, y) {
  const rows = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[data-movable]")]);
  const others = rows.filter((other) => other !== row);
  for (const other of others) delete other.dataset.drop;
  const next = others.find((other) => y < middle(other));
  if (next) {
    next.dataset.drop = "before";
    return { before: next.dataset.job };
  }
  const last = others.at(-1);
  if (last === undefined) return null;
  last.dataset.drop = "after";
  return { after: last.dataset.job };
}

/** @param {HTMLElement} row */
function middle(row) {
  const { top, height } = row.getBoundingClientRect();
  return top + height / 2;
}

/** @param {HTMLElement} list @param {HTMLElement} row */
function clear(list, row) {
  row.removeAttribute("data-dragged");
  row.style.translate = "";
  for (const other of list.querySelectorAll("[data-drop]")) other.removeAttribute("data-drop");
}
