/** A press on a field that becomes a drag, or was a click. */

/** How far the pointer goes before it drags. */
const SLACK = 3;

/**
 * @typedef {Object} Dragging
 * @property {(event: PointerEvent, by: number) => void} move is told how far the pointer went since it was last told
 * @property {(keep: boolean) => void} end `keep`: false where Escape or the system took the drag back
 * @property {() => void} click the pointer was let go where it was pressed
 */

/**
 * Follow a pointer until it is let go.
 * @param {HTMLElement} box
 * @param {PointerEvent} press
 * @param {Dragging} dragging
 */
export function follow(box, press, dragging) {
  const over = new AbortController();
  const { signal } = over;
  let [last, moved] = [press.clientX, false];
  const end = (/** @type {boolean} */ keep) => {
    over.abort();
    box.classList.remove("dragging");
    if (moved) dragging.end(keep);
    else if (keep) dragging.click();
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== press.pointerId) return;
    if (!moved && Math.abs(event.clientX - press.clientX) < SLACK) return;
    moved = true;
    box.classList.add("dragging");
    dragging.move(event, event.clientX - last);
    last = event.clientX;
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end(false);
  };
  box.setPointerCapture(press.pointerId);
  box.addEventListener("pointermove", move, { signal });
  box.addEventListener("pointercancel", () => end(false), { signal });
  box.addEventListener("pointerup", () => end(true), { signal });
  addEventListener("keydown", key, { signal, capture: true });
}
