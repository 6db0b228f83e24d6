"""The styles that scenes are drawn in: which colours they are made of, and what surrounds an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Rgb = tuple[int, int, int]
Palette = Mapping[str, Rgb]

PALETTE: Palette = {
    "red": (226, 54, 54),
    "orange": (250, 142, 20),
    "yellow": (252, 216, 62),
    "green": (60, 160, 76),
    "blue": (38, 116, 224),
    "purple": (138, 52, 172),
    "white": (248, 248, 246),
    "black": (34, 34, 40),
}
"""What the colours' names mean in the first style; every style has the same names."""

LIGHTS: Palette = {
    "red": (255, 92, 96),
    "orange": (255, 166, 66),
    "yellow": (255, 238, 124),
    "green": (110, 232, 130),
    "blue": (96, 180, 255),
    "purple": (206, 120, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 4),
}
DUSKS: Palette = {
    "red": (98, 18, 36),
    "orange": (124, 62, 10),
    "yellow": (112, 104, 28),
    "green": (14, 78, 44),
    "blue": (18, 42, 108),
    "purple": (64, 22, 98),
    "white": (106, 112, 126),
    "black": (14, 14, 20),
}


@dataclass(frozen=True)
class Style:
    """Say how a scene is drawn; what an object and a background are, their names tell alike in every style.

    `halo` is the share of light that an object gives to what is around it, fading within about twice `reach` pixels,
    in its own colour or as `haloes` says. `border` is the width in pixels of the rim about an object;
    `hole` the extent of what is cut out of an object, in the same shape, as a share of its own.
    """

    name: str
    description: str
    objects: Palette = field(default_factory=lambda: PALETTE)
    backgrounds: Palette = field(default_factory=lambda: PALETTE)
    halo: float = 0.0
    reach: float = 5.0
    haloes: Palette = field(default_factory=dict)
    border: int = 0
    hole: float = 0.0

    def rim(self, colour: str, background: str) -> Rgb:
        """Return the colour of the border: the first of white, black and red that is neither of the two given."""
        return self.objects[next(name for name in ("white", "black", "red") if name not in (colour, background))]

    def light(self, colour: str) -> Rgb:
        """Return the colour of the light that an object gives."""
        return self.haloes.get(colour, self.objects[colour])


FLAT = Style("flat", "Flat shapes on a plain background")
NIGHT = Style(
    "night",
    "Shapes that shine on a dark background, 128 x 128; the words are those of the model shapes.",
    LIGHTS,
    DUSKS,
    halo=0.8,
    reach=6.0,
    haloes={"black": (118, 118, 136)},
)
STICKERS = Style("stickers", "Flat shapes with a border, as stickers have; no word is needed.", border=6)
HOLLOW = Style("hollow", "Flat shapes with a hole of the same shape; no word is needed.", hole=0.5)

STYLES = {style.name: style for style in (FLAT, NIGHT, STICKERS, HOLLOW)}
