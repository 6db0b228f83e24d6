"""Edges of pictures (Canny 1986), with the steps and borders of kornia, which ComfyUI's node calls."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.filters import convolved, luma

NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""Rows and columns to the neighbour in each direction, a turn of 45 degrees apart, beginning at the right."""


def canny(planes: Tensor, low: float, high: float, check: Callable[[], object] | None = None) -> Tensor:
    """Return the edges (B, 1, H, W), 0 or 1, of pictures (B, 1 or 3, H, W) in [0, 1].

    Slopes above `high` are edges, and so is what is above `low` and hangs together with one. `check` is called now and
    then; what it raises stops the work. Raises ValueError where `low` is above `high`.
    """
    if low > high:
        raise ValueError(f"low_threshold is {low}, expected at most high_threshold, which is {high}")
    grey = planes if planes.shape[1] == 1 else luma(planes)
    smooth = convolved(grey, torch.exp(-(torch.arange(-2.0, 3.0) ** 2) / 2))
    across, down = _slopes(smooth)
    size = (across**2 + down**2 + 1e-6).sqrt()
    ridge = size * _is_ridge(size, torch.atan2(down, across))
    return _connected(ridge > low, ridge > high, check).to(planes.dtype)


def _slopes(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Return Sobel's derivatives to the right and downwards; borders are repeated."""
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=grey.device)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    both = functional.conv2d(padded, torch.stack([kernel, kernel.T])[:, None])
    return both[:, :1], both[:, 1:]


def _is_ridge(size: Tensor, angle: Tensor) -> Tensor:
    """Tell where a slope is steeper than both neighbours across the edge; outside there is none."""
    height, width = size.shape[-2:]
    padded = functional.pad(size, (1, 1, 1, 1))
    shifted = [padded[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in NEIGHBOURS]
    differences = torch.cat([size - neighbour for neighbour in shifted], dim=1)
    ahead = (angle / (math.pi / 4)).round().long() % 8
    return (differences.gather(1, ahead) > 0) & (differences.gather(1, (ahead + 4) % 8) > 0)


def _connected(weak: Tensor, strong: Tensor, check: Callable[[], object] | None) -> Tensor:
    """Return what of `weak` is joined to `strong` by a path of neighbours."""
    while True:
        if check is not None:
            check()
        grown = _spread(_spread(strong, -1), -2) & weak | strong
        if torch.equal(grown, strong):
            return strong
        strong = grown


def _spread(marks: Tensor, dim: int) -> Tensor:
    """Return marks that have reached the neighbours on both sides."""
    spread, count = marks.clone(), marks.shape[dim] - 1
    spread.narrow(dim, 0, count).logical_or_(marks.narrow(dim, 1, count))
    spread.narrow(dim, 1, count).logical_or_(marks.narrow(dim, 0, count))
    return spread
