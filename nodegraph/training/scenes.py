"""Draws the procedural scenes that the bundled model learns: one or two flat shapes on a plain background."""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nodegraph.training.styles import FLAT, PALETTE, Rgb, Style

SIDE = 128

COLOURS = tuple(PALETTE)
SHAPES = ("circle", "square", "triangle", "star", "heart")
SIZES = {"small": 29, "medium": 38, "large": 47}  # pixels across, before jitter
PLACES = {  # centre of a lone object, as (x, y) in thirds from the middle
    "centre": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "top left": (-1, -1),
    "top right": (1, -1),
    "bottom left": (-1, 1),
    "bottom right": (1, 1),
}
RELATIONS = ("above", "left of")
HELD_OUT_SHARE = 0.1

Split = Literal["training", "held out"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One object of a scene; `size` is a key of SIZES."""

    shape: str
    colour: str
    size: str


@dataclass(frozen=True)
class Scene:
    """What a caption tells: a lone item at a place, or a first item that is above or left of a second one."""

    items: tuple[Item, ...]
    arrangement: str  # a key of PLACES for one item, one of RELATIONS for two
    background: str

    @property
    def combination(self) -> str:
        """Name what the held-out split keeps together: the items with their arrangement.

        A pair is told without its background, so that a pair kept out is never seen on any background.
        """
        told = [f"{item.size} {item.colour} {item.shape}" for item in self.items]
        if len(told) == 1:
            told.append(self.background)
        return " | ".join((*told, self.arrangement))


@dataclass(frozen=True)
class Placed:
    """An item with its centre and its extent in pixels."""

    item: Item
    x: int
    y: int
    across: int


def is_held_out(scene: Scene, share: float = HELD_OUT_SHARE) -> bool:
    """Tell whether the scene's combination belongs to the split that training never sees."""
    digest = hashlib.sha256(scene.combination.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def draw_scene(rng: np.random.Generator, split: Split | None = "training") -> Scene:
    """Draw a random scene of a split; None draws from both."""
    while True:
        scene = _any_scene(rng)
        if split is None or is_held_out(scene) == (split == "held out"):
            return scene


def _any_scene(rng: np.random.Generator) -> Scene:
    count = 1 if rng.random() < 0.3 else 2
    background = _pick(rng, COLOURS)
    others = [colour for colour in COLOURS if colour != background]
    items = tuple(Item(_pick(rng, SHAPES), _pick(rng, others), _draw_size(rng)) for _ in range(count))
    arrangement = _pick(rng, tuple(PLACES)) if count == 1 else _pick(rng, RELATIONS)
    return Scene(items, arrangement, background)


def _draw_size(rng: np.random.Generator) -> str:
    return _pick(rng, ("small", "large")) if rng.random() < 0.9 else "medium"


def _pick(rng: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def nominal_places(scene: Scene) -> tuple[Placed, ...]:
    """Give each item the pixels that it has without jitter."""
    middle, offset = SIDE // 2, SIDE // 4
    if len(scene.items) == 1:
        right, down = PLACES[scene.arrangement]
        centres = [(middle + (offset - 1) * right, middle + (offset - 1) * down)]
    elif scene.arrangement == "above":
        centres = [(middle, middle - offset), (middle, middle + offset)]
    else:
        centres = [(middle - offset, middle), (middle + offset, middle)]
    return tuple(Placed(item, x, y, SIZES[item.size]) for item, (x, y) in zip(scene.items, centres, strict=True))


def place(scene: Scene, rng: np.random.Generator, jitter: int = 3) -> tuple[Placed, ...]:
    """Give each item its pixels: the nominal ones moved and scaled by a little jitter."""
    placed = []
    for nominal in nominal_places(scene):
        across, down = rng.integers(-jitter, jitter + 1, 2)
        grown = int(rng.integers(-1, 2))
        placed.append(Placed(nominal.item, nominal.x + int(across), nominal.y + int(down), nominal.across + grown))
    return tuple(placed)


def render(scene: Scene, rng: np.random.Generator, style: Style = FLAT) -> Pixels:
    """Draw the scene as (128, 128, 3) uint8 with smooth edges; `rng` decides the jitter."""
    return paint(scene, place(scene, rng), style)


def paint(scene: Scene, items: tuple[Placed, ...], style: Style = FLAT, scale: int = 1) -> Pixels:
    """Draw a scene whose items have their pixels, as (128, 128, 3) uint8, or `scale` times as large."""
    canvas = np.empty((SIDE * scale, SIDE * scale, 3), np.float32)
    canvas[:] = style.backgrounds[scene.background]
    larger = [Placed(one.item, one.x * scale, one.y * scale, one.across * scale) for one in items]
    for placed in larger:
        if style.halo:
            light = halo_mask(placed.item.shape, placed.across, style.reach * scale)
            _lay(canvas, placed, style.halo * light, style.light(placed.item.colour))
    for placed in larger:
        if style.border:
            rim = shape_mask(placed.item.shape, placed.across, border=style.border * scale)
            _lay(canvas, placed, rim, style.rim(placed.item.colour, scene.background))
        _lay(canvas, placed, shape_mask(placed.item.shape, placed.across), style.objects[placed.item.colour])
        if style.hole:
            hole = shape_mask(placed.item.shape, round(placed.across * style.hole))
            _lay(canvas, placed, hole, style.backgrounds[scene.background])
    return np.rint(canvas).astype(np.uint8)


def _lay(canvas: NDArray[np.float32], placed: Placed, mask: NDArray[np.float32], colour: Rgb) -> None:
    """Lay a colour over the canvas where the mask (h, w) in [0, 1] about the item's centre says."""
    top, left = placed.y - mask.shape[0] // 2, placed.x - mask.shape[1] // 2
    above, before = max(0, -top), max(0, -left)
    window = canvas[top + above : top + mask.shape[0], left + before : left + mask.shape[1]]
    shown = mask[above : above + window.shape[0], before : before + window.shape[1], None]
    window += shown * (np.array(colour, np.float32) - window)


@cache
def shape_mask(shape: str, across: int, finer: int = 8, border: int = 0) -> NDArray[np.float32]:
    """Draw the coverage of a shape of this extent as (across + 2, across + 2) in [0, 1], by supersampling.

    A border widens the shape by so many pixels on every side, with round corners, and the mask with it.
    """
    cells = across + 2 + 2 * border
    image = Image.new("L", (cells * finer, cells * finer))
    middle = cells * finer / 2
    points = [(x * across / 2 * finer + middle, y * across / 2 * finer + middle) for x, y in outline(shape)]
    draw = ImageDraw.Draw(image)
    draw.polygon(points, fill=255)
    if border:
        draw.line([*points, points[0]], fill=255, width=2 * border * finer)
        for x, y in points:
            draw.circle((x, y), border * finer, fill=255)
    fine = np.asarray(image, np.float32) / 255
    mask: NDArray[np.float32] = fine.reshape(cells, finer, cells, finer).mean((1, 3))
    return mask


@cache
def halo_mask(shape: str, across: int, deviation: float) -> NDArray[np.float32]:
    """Blur a shape's mask by a Gaussian of this deviation in pixels; it grows by three of them on every side."""
    reach = math.ceil(3 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    soft = np.pad(shape_mask(shape, across), reach)
    for axis in (0, 1):
        soft = np.apply_along_axis(np.convolve, axis, soft, kernel, "same")
    return soft.astype(np.float32)


def outline(shape: str) -> list[tuple[float, float]]:
    """List the corners of a shape about (0, 0), y down, each coordinate in [-1, 1]."""
    match shape:
        case "circle":
            return [(math.cos(a), math.sin(a)) for a in _turns(64)]
        case "square":
            return [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]
        case "triangle":
            return [(0.0, -0.9), (1.0, 0.83), (-1.0, 0.83)]
        case "star":
            radii = [1.0, 0.46] * 5
            return [(r * math.sin(a), 0.05 - r * math.cos(a)) for r, a in zip(radii, _turns(10), strict=True)]
        case "heart":  # the well-known 16 sin^3 curve, scaled to fill the square
            return [(math.sin(a) ** 3, -(_heart_height(a) + 2.53) / 14.5) for a in _turns(64)]
    raise ValueError(f"shape {shape!r} is not one of {', '.join(SHAPES)}")


def _heart_height(a: float) -> float:
    return 13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)


def _turns(count: int) -> list[float]:
    return [2 * math.pi * k / count for k in range(count)]
