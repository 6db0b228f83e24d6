"""Large pictures in tiles: work on parts that overlap, fade them into one another, and take less memory for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar

import torch
from torch import Tensor

from nodegraph.diffusion.blending import faded
from nodegraph.diffusion.memory.shortage import Attempt

ResultT = TypeVar("ResultT")
Tell = Callable[[int, int], object]
"""Called with the tiles done and the tiles in all; what it raises stops the work."""


@dataclass(frozen=True)
class Grid:
    """How a picture is cut: tiles of so many cells a side that overlap by so many.

    A cell is `inner` places of what is put in and `outer` places of what comes out: (1, 8) decodes latents, (8, 1)
    encodes pictures, (1, 4) makes them four times larger.
    """

    tile: int
    overlap: int
    inner: int = 1
    outer: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.tile:
            raise ValueError(f"an overlap of {self.overlap} in tiles of {self.tile}: expected from 0 to below the tile")

    def starts(self, length: int) -> list[int]:
        """Return where the tiles along a side of so many cells begin; the last one is moved in, not cut."""
        if length <= self.tile:
            return [0]
        step = self.tile - self.overlap
        return [min(start, length - self.tile) for start in range(0, length - self.overlap, step)]


def tiled(function: Callable[[Tensor], Tensor], planes: Tensor, grid: Grid, *, tell: Tell = lambda *_: None) -> Tensor:
    """Return what `function`, (1, C, h, w) -> (1, C', h', w'), gives for `planes` (B, C, H, W), tile by tile.

    The result (B, C', H', W') is float32 on the CPU. `tell` is called before each tile and at the end.
    """
    rows, columns = (side // grid.inner for side in planes.shape[-2:])
    places = list(product(grid.starts(rows), grid.starts(columns)))
    total, done = len(places) * len(planes), 0
    pictures = []
    for picture in planes.split(1):
        out = weights = torch.empty(0)
        for row, column in places:
            tell(done, total)
            seen = picture[..., _span(row, grid, rows, grid.inner), _span(column, grid, columns, grid.inner)]
            part = function(seen).detach().float().cpu()
            if not out.numel():
                out = torch.zeros(1, part.shape[1], rows * grid.outer, columns * grid.outer)
                weights = torch.zeros(out.shape[-2:])
            window = (_span(row, grid, rows, grid.outer), _span(column, grid, columns, grid.outer))
            fade = grid.overlap * grid.outer
            weight = faded(
                part.shape[-2],
                part.shape[-1],
                left=fade if column > 0 else 0,
                top=fade if row > 0 else 0,
                right=fade if column + grid.tile < columns else 0,
                bottom=fade if row + grid.tile < rows else 0,
            )
            out[(..., *window)] += part * weight
            weights[window] += weight
            done += 1
        pictures.append(out.div_(weights))
    tell(total, total)
    return torch.cat(pictures)


def _span(start: int, grid: Grid, length: int, places: int) -> slice:
    return slice(start * places, min(start + grid.tile, length) * places)


def tile_attempts(run: Callable[[int], ResultT], tile: int, least: int) -> list[Attempt[ResultT]]:
    """Return attempts at work in tiles: of `tile`, then of half as much a side each time, down to `least`."""
    halvings = range(max(tile // least, 1).bit_length())
    return [(f"in tiles of {tile >> times}", partial(run, tile >> times)) for times in halvings]
