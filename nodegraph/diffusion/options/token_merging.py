"""Token merging (Bolya and Hoffman 2023): tokens that are alike ask as one in self-attention at full resolution."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.options.places import SelfAttention, needed
from nodegraph.diffusion.options.scene import Around, Scene

STRIDE = 2
"""Cells a side of the squares, each of which has one token that others merge into."""
MOST_SCORES = 2**24
"""How many similarities are held at once."""


@dataclass(frozen=True)
class TokenMerging:
    """Merge so large a share of the tokens, those that are most alike, into others; at most three of four."""

    ratio: float = 0.3
    rank: ClassVar[int] = 1
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        """Act about self-attention at full resolution; inside of tiles where there are such."""
        for place in needed(scene.self_attentions, "Token merging", "attention of tokens to one another"):
            if not place.middle:
                scene.around(place.attention, partial(self._enter, scene, place))

    def _enter(self, scene: Scene, place: SelfAttention, x: Tensor, context: Tensor) -> Around | None:
        if place.whole != scene.size:
            return None
        seed = zlib.crc32(f"{place.name} {scene.call.sigma!r}".encode())  # the same in each run
        merging = match(x, place.grid, int(x.shape[1] * self.ratio), seed)
        return None if merging is None else ((merging[0](x), context), merging[1])


Map = Callable[[Tensor], Tensor]


def match(x: Tensor, grid: tuple[int, int], count: int, seed: int) -> tuple[Map, Map] | None:
    """Return what merges `count` of the tokens (B, h * w, C) of a grid (h, w), and what gives each its place again.

    In each square one token, drawn by the seed, is of those that others may merge into. None: there is nothing to do.
    """
    height, width = grid
    if count <= 0 or height < STRIDE or width < STRIDE:
        return None
    targets, sources = (places.to(x.device, non_blocking=True) for places in _drawn(height, width, seed))
    count = min(count, len(sources))
    likeness, nearest = _nearest(x, sources, targets)  # (B, sources)
    order = likeness.argsort(dim=1, descending=True)
    merged, kept = order[:, :count], order[:, count:]
    into = nearest.gather(1, merged)  # (B, count), indices of targets

    def merge(x: Tensor) -> Tensor:
        """Return the tokens that are kept and those merged into, each the mean of its own."""
        away, towards = x[:, sources], x[:, targets]
        means = towards.scatter_reduce(1, _wide(into, x), away.gather(1, _wide(merged, x)), reduce="mean")
        return torch.cat((away.gather(1, _wide(kept, x)), means), dim=1)

    def unmerge(x: Tensor) -> Tensor:
        alone, means = x.split([kept.shape[1], len(targets)], dim=1)
        away = x.new_empty(x.shape[0], len(sources), x.shape[2])
        away.scatter_(1, _wide(kept, x), alone)
        away.scatter_(1, _wide(merged, x), means.gather(1, _wide(into, x)))
        out = x.new_empty(x.shape[0], len(sources) + len(targets), x.shape[2])
        out[:, targets], out[:, sources] = means, away
        return out

    return merge, unmerge


def _drawn(height: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of tokens that others merge into, one drawn in each whole square, and of all others."""
    rows, columns = height // STRIDE, width // STRIDE
    drawn = torch.randint(STRIDE**2, (rows, columns), generator=torch.Generator().manual_seed(seed))
    tops = torch.arange(rows)[:, None] * STRIDE + drawn // STRIDE
    lefts = torch.arange(columns)[None] * STRIDE + drawn % STRIDE
    chosen = torch.zeros(height * width, dtype=torch.bool)
    chosen[(tops * width + lefts).flatten()] = True
    return chosen.nonzero()[:, 0], (~chosen).nonzero()[:, 0]


def _nearest(x: Tensor, sources: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return how alike each source (B, sources) is to the target that it is most like, by the cosine, and which."""
    unit = x / x.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    likeness, nearest = [], []
    towards = unit[:, targets].mT
    for part in sources.split(max(1, MOST_SCORES // (len(x) * len(targets)))):
        best = (unit[:, part] @ towards).max(dim=-1)
        likeness.append(best.values)
        nearest.append(best.indices)
    return torch.cat(likeness, 1), torch.cat(nearest, 1)


def _wide(indices: Tensor, x: Tensor) -> Tensor:
    """Return indices (B, n) for all channels: (B, n, C)."""
    return indices[..., None].expand(-1, -1, x.shape[2])
