"""What tests of the canvas share: a workflow to work on, and where things lie on the screen."""

from __future__ import annotations

from typing import Any

from tests.editor.driver import Editor

Point = tuple[float, float]

WORKFLOW: dict[str, Any] = {
    "format": 1,
    "nodes": {
        "model": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": "shapes.safetensors"}},
        "prompt": {"type": "CLIPTextEncode", "params": {"text": "a star"}, "links": {"clip": "model.clip"}},
        "negative": {"type": "CLIPTextEncode", "params": {"text": ""}, "links": {"clip": "model.clip"}},
        "latent": {"type": "EmptyLatentImage", "params": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "params": {"seed": 1, "steps": 2},
            "links": {
                "model": "model.model",
                "positive": "prompt.out",
                "negative": "negative.out",
                "latent_image": "latent.out",
            },
        },
        "decode": {"type": "VAEDecode", "links": {"samples": "sample.out", "vae": "model.vae"}},
        "flip": {"type": "LatentFlip", "params": {"flip_method": "x-axis: vertically"}},
        "save": {"type": "SaveImage", "links": {"images": "decode.out"}},
    },
    "view": {
        "model": {"x": 0, "y": 0},
        "latent": {"x": 0, "y": 260},
        "prompt": {"x": 340, "y": 0},
        "negative": {"x": 340, "y": 220},
        "sample": {"x": 760, "y": 0},
        "decode": {"x": 1180, "y": 0},
        "flip": {"x": 340, "y": 460},
        "save": {"x": 1180, "y": 200},
    },
}


class Canvas:
    """The canvas of an editor that a test drives."""

    def __init__(self, editor: Editor) -> None:
        self.editor, self.page = editor, editor.page

    def view(self) -> dict[str, float]:
        """Return what of the canvas is seen."""
        found: dict[str, float] = self.editor.state()["view"]
        return found

    def corner(self) -> Point:
        """Return where the canvas begins in the window."""
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        return box["x"], box["y"]

    def client(self, x: float, y: float) -> Point:
        """Return where a point of the canvas is in the window."""
        view, (left, top) = self.view(), self.corner()
        return x * view["zoom"] + view["x"] + left, y * view["zoom"] + view["y"] + top

    def point(self, place: Point) -> Point:
        """Return the point of the canvas that is at a place in the window."""
        view, (left, top) = self.view(), self.corner()
        return (place[0] - left - view["x"]) / view["zoom"], (place[1] - top - view["y"]) / view["zoom"]

    def shown(self, id: str) -> dict[str, Any]:
        """Return how a node is drawn, as the file tells."""
        found: dict[str, Any] = self.editor.document()["view"][id]
        return found

    def at(self, id: str) -> Point:
        """Return a node's corner on the canvas."""
        shown = self.shown(id)
        return shown["x"], shown["y"]

    def header(self, id: str) -> Point:
        """Return a place in the window on a node's header."""
        box = self.editor.node(id).bounding_box()
        assert box is not None, id
        zoom = self.view()["zoom"]
        return box["x"] + box["width"] / 2, box["y"] + 15 * zoom

    def links(self, id: str) -> dict[str, str]:
        """Return what a node's inputs are wired to."""
        found: dict[str, str] = self.editor.nodes()[id].get("links", {})
        return found

    def selection(self) -> set[str]:
        """Return what is selected."""
        return set(self.editor.state()["selection"])

    def free(self) -> Point:
        """Return a place in the window where nothing lies: right of all nodes, below them."""
        return self.client(1000, 560)

    def move_to(self, id: str, x: float, y: float, keys: tuple[str, ...] = ()) -> None:
        """Drag a node by its header so that its corner comes to a point, with what guides do switched off."""
        start, (left, top), zoom = self.header(id), self.at(id), self.view()["zoom"]
        self.editor.drag(start, (start[0] + (x - left) * zoom, start[1] + (y - top) * zoom), keys=keys)

    def path(self, source: str, target: str) -> list[Point]:
        """Return points in the window along the link between two ports, from geometry itself."""
        script = """async ([from, to]) => {
          const { curve, pointAt } = await import("/geometry/curves.js");
          const path = curve(from, to);
          return [0.1, 0.25, 0.5, 0.75, 0.9].map((t) => pointAt(path, 0, t)).map(({ x, y }) => [x, y]);
        }"""
        ends = []
        for place, side in ((source, "out"), (target, "in")):
            id, name = place.split(".")
            ends.append(self.point(self.editor.place(self.editor.port(id, f"{side}:{name}"))))
        found = self.page.evaluate(script, [{"x": x, "y": y} for x, y in ends])
        return [self.client(*point) for point in found]
