"""HyperTile (Fernandez 2023): tokens attend to those of their own tile alone, which takes less time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from nodegraph.diffusion.options.places import SelfAttention, needed
from nodegraph.diffusion.options.scene import Around, Scene

CELL = 8
"""Pixels that a cell of a latent stands for along a side."""
SMALLEST = 32
"""Pixels that a tile has along a side at least."""


@dataclass(frozen=True)
class HyperTile:
    """Cut self-attention into tiles of at least `tile` pixels a side, each time one of the `sizes` smallest that fit.

    `depth` is the lowest resolution at which it does so, 0: full resolution alone, 1: half of it too. With
    `scale_depth` the tiles are as many cells larger as the resolution is lower. Tiles divide a side evenly, so a side
    of a prime number of cells stays whole.
    """

    tile: int = 256
    sizes: int = 2
    depth: int = 0
    scale_depth: bool = False
    rank: ClassVar[int] = 0
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        """Act about self-attention, but for that of the lowest resolution of all."""
        for place in needed(scene.self_attentions, "HyperTile", "attention of tokens to one another"):
            if not place.middle:
                scene.around(place.attention, partial(self._enter, scene, place))

    def _enter(self, scene: Scene, place: SelfAttention, x: Tensor, context: Tensor) -> Around | None:
        levels = [(_halved(scene.size[0], level), _halved(scene.size[1], level)) for level in range(self.depth + 1)]
        if place.whole not in levels or context.shape[1] != x.shape[1]:
            return None
        least = max(SMALLEST, self.tile) // CELL * (2 ** levels.index(place.whole) if self.scale_depth else 1)
        chance = random.Random(f"{place.name} {scene.call.sigma!r}")  # the same in each run
        rows, columns = (chance.choice(tile_counts(side, least, self.sizes)) for side in place.whole)
        if rows * columns == 1:
            return None
        tiles = partial(into_tiles, grid=place.whole, counts=(rows, columns))
        place.grid = (place.whole[0] // rows, place.whole[1] // columns)
        return (tiles(x), tiles(context)), partial(self._leave, place, (rows, columns))

    def _leave(self, place: SelfAttention, counts: tuple[int, int], output: Tensor) -> Tensor:
        place.grid = place.whole
        return from_tiles(output, place.whole, counts)


def tile_counts(side: int, least: int, options: int) -> list[int]:
    """Return into how many tiles a side of so many cells can be cut, for the smallest sizes of at least `least`."""
    sizes = [size for size in range(min(least, side), side + 1) if side % size == 0]
    return [side // size for size in sizes[:options]]


def into_tiles(x: Tensor, grid: tuple[int, int], counts: tuple[int, int]) -> Tensor:
    """Return tokens (B, h * w, C) of a grid (h, w) as (B * tiles, cells of a tile, C)."""
    (height, width), (rows, columns) = grid, counts
    cut = x.unflatten(1, (rows, height // rows, columns, width // columns))
    tiles: Tensor = cut.transpose(2, 3).flatten(3, 4).flatten(0, 2)
    return tiles


def from_tiles(x: Tensor, grid: tuple[int, int], counts: tuple[int, int]) -> Tensor:
    """Return what `into_tiles` was given."""
    (height, width), (rows, columns) = grid, counts
    cut = x.unflatten(1, (height // rows, width // columns)).unflatten(0, (-1, rows, columns))
    whole: Tensor = cut.transpose(2, 3).flatten(1, 4)
    return whole


def _halved(side: int, times: int) -> int:
    return -(-side // (1 << times))
