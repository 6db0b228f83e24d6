"""Judges pictures of scenes from their pixels alone: objects, colours, shapes, sizes, places, relations, background.

It shares no code with the drawing of scenes: objects are connected regions that differ from the border's colour, a
region's shape is the ideal figure, written down here a second time, that overlaps best with it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodegraph.training.scenes import Item, Scene
from nodegraph.training.styles import FLAT, PALETTE, Palette, Style

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

FOREIGN = 60.0  # RGB distance from the background at which a pixel may belong to an object
COLOUR_TOLERANCE = 45.0  # RGB distance within which a colour bears its name
SPECK = 14  # pixels; smaller regions are flecks, counted but no objects
FLECKS = 40  # pixels in flecks above which a background is not plain
LARGE_FROM = 37.5  # pixels across
# Different figures, each in its bounding box, share at most 0.63 of their union, but for circle and square (0.79).
FIT = 0.72  # share of the union that a region must have in common with a figure to bear its name
LEAD = 0.04  # by how much that figure must fit better than any other


@dataclass(frozen=True)
class Found:
    """An object read from a picture: centre and extent in pixels, colour None where no name fits."""

    shape: str
    colour: str | None
    x: float
    y: float
    across: int


@dataclass(frozen=True)
class Verdict:
    """What was right in one picture; `complaints` says in words what was not."""

    count: bool
    background: bool
    colours: bool
    shapes: bool
    sizes: bool
    arrangement: bool
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Tell whether everything is right."""
        return not self.complaints


def judge(picture: Pixels, scene: Scene, style: Style = FLAT) -> Verdict:
    """Compare a picture (H, W, 3) with the scene that it should show, drawn in a style."""
    background, found, flecks = read(picture, style)
    complaints = []
    plain = background == scene.background and flecks <= FLECKS
    if not plain:
        complaints.append(f"background is {background} with {flecks} stray pixels, not plain {scene.background}")
    if len(found) != len(scene.items):
        complaints.append(f"{len(found)} objects, not {len(scene.items)}")
        return Verdict(False, plain, False, False, False, False, tuple(complaints))
    ordered = _in_order(found, scene.arrangement)
    colours, shapes, sizes = (_compare(kind, ordered, scene.items, complaints) for kind in ("colour", "shape", "size"))
    arranged = _is_arranged(ordered, scene.arrangement, picture.shape[1], picture.shape[0])
    if not arranged:
        complaints.append(f"objects are not {scene.arrangement}")
    return Verdict(True, plain, colours, shapes, sizes, arranged, tuple(complaints))


def _in_order(found: list[Found], arrangement: str) -> list[Found]:
    """Put the object that the scene tells first in front: the upper one, or the one on the left."""
    return sorted(found, key=lambda one: one.y if arrangement == "above" else one.x)


def _compare(kind: str, found: list[Found], items: tuple[Item, ...], complaints: list[str]) -> bool:
    right = True
    for got, item in zip(found, items, strict=True):
        expected = getattr(item, kind)
        if kind == "size":
            seen: str | None = "large" if got.across > LARGE_FROM else "small"
            seen = "medium" if expected == "medium" else seen
        else:
            seen = got.colour if kind == "colour" else got.shape
        if seen != expected:
            complaints.append(f"{kind} is {seen}, not {expected}")
            right = False
    return right


def _is_arranged(found: list[Found], arrangement: str, width: int, height: int) -> bool:
    if len(found) == 2:
        across, down = found[1].x - found[0].x, found[1].y - found[0].y
        if arrangement == "above":
            return down > height / 4 and abs(across) < down / 2
        return across > width / 4 and abs(down) < across / 2
    column = _third(found[0].x / width)
    row = _third(found[0].y / height)
    words = {0: ("top", "left"), 1: ("", ""), 2: ("bottom", "right")}
    place = " ".join(word for word in (words[row][0], words[column][1]) if word)
    return (place or "centre") == arrangement


def _third(share: float) -> int:
    return 0 if share < 0.385 else 2 if share > 0.615 else 1


def read(picture: Pixels, style: Style = FLAT) -> tuple[str | None, list[Found], int]:
    """Read a picture (H, W, 3): the background's colour, the objects, and how many pixels are stray."""
    border = np.concatenate((picture[:3].reshape(-1, 3), picture[-3:].reshape(-1, 3),
                             picture[:, :3].reshape(-1, 3), picture[:, -3:].reshape(-1, 3)))  # fmt: skip
    ground = np.median(border, axis=0)
    away = np.linalg.norm(picture - ground, axis=2)  # (H, W)
    found, strays = [], 0
    for region in regions(away > FOREIGN):
        if region.sum() < SPECK:
            strays += int(region.sum())
            continue
        found.append(_describe(picture, region, ground, style))
    return name_colour(ground, style.backgrounds), found, strays


def _describe(picture: Pixels, region: Mask, ground: NDArray[np.float64], style: Style) -> Found:
    colour, uniform = _inside(picture, region)
    contrast = float(np.linalg.norm(colour - ground))
    covered = np.linalg.norm(picture - ground, axis=2) > max(0.5 * contrast, 20.0)
    body = region & covered if (region & covered).any() else region
    if style.halo:  # which is seen, but no part of the object
        colour, uniform = _inside(picture, body)
    rows, columns = np.nonzero(body)
    extent = (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
    middle = ((rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2)
    name = name_colour(colour, style.objects) if uniform else None
    return Found(name_shape(body), name, float(middle[1]), float(middle[0]), max(extent))


def _inside(picture: Pixels, region: Mask) -> tuple[NDArray[np.float64], bool]:
    """Return the median colour of a region without its rim, and whether nearly all of it is about that colour."""
    inner = erode(erode(region))
    inside = picture[inner if inner.any() else region].astype(np.float64)
    colour = np.median(inside, axis=0)
    return colour, bool((np.linalg.norm(inside - colour, axis=1) < COLOUR_TOLERANCE).mean() > 0.9)


def name_colour(colour: NDArray[np.float64], palette: Palette = PALETTE) -> str | None:
    """Name an RGB colour in [0, 255], None where no name of the palette is near."""
    distances = {name: float(np.linalg.norm(colour - np.array(value))) for name, value in palette.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] < COLOUR_TOLERANCE else None


def regions(mask: Mask) -> list[Mask]:
    """Split a mask (H, W) into its connected regions (edges touch), in reading order."""
    left = mask.copy()
    found = []
    while left.any():
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        region = np.zeros_like(left)
        stack = [(int(row), int(column))]
        left[row, column] = False
        while stack:
            y, x = stack.pop()
            region[y, x] = True
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < left.shape[0] and 0 <= u < left.shape[1] and left[v, u]:
                    left[v, u] = False
                    stack.append((v, u))
        found.append(region)
    return found


def erode(mask: Mask) -> Mask:
    """Take off a region's outermost pixels."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def name_shape(region: Mask, fit: float = FIT) -> str:
    """Name the figure that overlaps best (intersection over union) with the region in its own bounding box.

    A region that no figure fits by `fit`, or two fit about equally, is a "blob".
    """
    rows, columns = np.nonzero(region)
    box = region[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    if not 0.7 < box.shape[1] / box.shape[0] < 1.43:
        return "blob"
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side * 2 - 1 for side in box.shape), indexing="ij")
    overlaps = {}
    for name, figure in _figures(x, y).items():
        overlaps[name] = float((figure & box).sum() / (figure | box).sum())
    second, best = sorted(overlaps, key=lambda name: overlaps[name])[-2:]
    return best if overlaps[best] > fit and overlaps[best] - overlaps[second] > LEAD else "blob"


def _figures(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, Mask]:
    """Fill the ideal figures on a grid over [-1, 1] squared, y down, each stretched to touch all four sides."""
    heart_x, heart_y = np.abs(x) * 16, (1 - y) / 2 * 29 - 17  # the heart's curve spans 16 and -17 to 12
    turn = np.arcsin(np.cbrt(np.clip(heart_x / 16, 0, 1)))
    upper, lower = (_heart(turn), _heart(np.pi - turn))
    return {
        "circle": x**2 + y**2 <= 1,
        "square": np.ones_like(x, bool),
        "triangle": np.abs(x) <= (y + 1) / 2,
        "star": _star(x * np.sin(np.radians(72)), (y + 1) * (1 + np.cos(np.radians(36))) / 2 - 1),
        "heart": (heart_y <= upper) & (heart_y >= lower),
    }


def _heart(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    height: NDArray[np.float64] = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    return height


def _star(x: NDArray[np.float64], y: NDArray[np.float64], waist: float = 0.46) -> Mask:
    """Fill a five-pointed star of radius 1 about (0, 0), a point up: in each tenth turn, one straight edge."""
    angle = np.abs((np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)  # 0 at a point, pi/5 at the waist
    radius = np.hypot(x, y)
    along, aside = radius * np.cos(angle), radius * np.sin(angle)
    waist_along, waist_aside = waist * np.cos(np.pi / 5), waist * np.sin(np.pi / 5)
    inside: Mask = aside * (1 - waist_along) <= waist_aside * (1 - along)
    return inside
