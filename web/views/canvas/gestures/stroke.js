/** A stroke across links: it cuts them, or gives each a bend where it crosses. */

import { crossing } from "../../../geometry/curves.js";
import { spanned } from "../../../geometry/transform.js";
import { disconnectAll, setRoute } from "../../../store/edits.js";

/** @import {Graph, Point} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/** @param {Canvas} canvas @param {PointerEvent} start @param {"cut" | "bend"} kind @returns {Gesture} */
export function stroke(canvas, start, kind) {
  const points = [canvas.pointOf({ x: start.clientX, y: start.clientY })];
  /** @type {Map<string, {piece: number, point: Point}>} */
  const crossed = new Map();
  const over = () => {
    canvas.mark({});
    canvas.say(null);
  };
  return {
    cursor: "crosshair",
    move(event) {
      const client = { x: event.clientX, y: event.clientY };
      const [last, next] = [points[points.length - 1], canvas.pointOf(client)];
      points.push(next);
      for (const key of canvas.scene.wireGrid.query(spanned(last, next))) {
        const wire = canvas.scene.wires.get(key);
        const found = wire && !crossed.has(key) ? crossing(wire.path, last, next) : null;
        if (found) crossed.set(key, found);
      }
      canvas.mark({ stroke: { points, keys: new Set(crossed.keys()), kind } });
      canvas.say(told(crossed.size, kind), client);
    },
    end() {
      over();
      if (!crossed.size) return;
      if (kind === "cut") canvas.editor.apply("Cut links", (graph) => disconnectAll(graph, crossed.keys()));
      else canvas.editor.apply("Bend links", (graph) => bent(graph, crossed));
    },
    cancel: over,
  };
}

/** @param {number} count @param {"cut" | "bend"} kind */
function told(count, kind) {
  const links = `${count} ${count === 1 ? "link" : "links"}`;
  return kind === "cut" ? `${links} to cut` : `${links} to bend`;
}

/** @param {Graph} graph @param {ReadonlyMap<string, {piece: number, point: Point}>} crossed @returns {Graph} */
function bent(graph, crossed) {
  for (const [key, { piece, point }] of crossed) {
    graph = setRoute(graph, key, (graph.routes.get(key) ?? []).toSpliced(piece, 0, rounded(point)));
  }
  return graph;
}

/** @param {Point} point @returns {Point} */
export const rounded = ({ x, y }) => ({ x: Math.round(x), y: Math.round(y) });
