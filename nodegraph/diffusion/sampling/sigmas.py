"""Noise levels cut, joined and refined by hand; sequences of levels in, lists out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

from nodegraph.diffusion.sampling.contract import Table

Spacing = Literal["linear", "cosine", "sine"]
SPACINGS: Final[Mapping[Spacing, Callable[[float], float]]] = MappingProxyType(
    {
        "linear": lambda share: share,
        "cosine": lambda share: math.sin(share * math.pi / 2),
        "sine": lambda share: 1 - math.cos(share * math.pi / 2),
    }
)
JUST_ABOVE_ZERO = 1e-4
"""What stands for 0 at the start of levels that rise."""


def split_by_denoise(levels: Sequence[float], denoise: float) -> tuple[Sequence[float], Sequence[float]]:
    """Return the levels before the last `denoise` of the steps, and those of that share; both hold the one between."""
    steps = max(len(levels) - 1, 0)
    start = steps - round(steps * denoise)
    return levels[: start + 1], levels[start:]


def flipped(levels: Sequence[float]) -> list[float]:
    """Return the levels from low to high, to noise a clean sample along the sampler's own way."""
    first, *rest = list(levels)[::-1] or [JUST_ABOVE_ZERO]
    return [first or JUST_ABOVE_ZERO, *rest] if levels else []


def extended(levels: Sequence[float], steps: int, start: float, end: float, spacing: Spacing) -> list[float]:
    """Return the levels with each step that begins between `start` and `end` divided into `steps`.

    A negative `start` stands for the highest level there is.
    """
    highest = start if start >= 0 else math.inf
    shares = [SPACINGS[spacing](i / steps) for i in range(steps)]
    result: list[float] = []
    for level, lower in pairwise(levels):
        inside = end <= level <= highest
        result += [level + share * (lower - level) for share in (shares if inside else shares[:1])]
    return [*result, *levels[-1:]]


def level_at(table: Table, percent: float, actual: bool = False) -> float:
    """Return the level at a share of sampling done; `actual`: at 0 and 1 the model's own, not beyond all of them."""
    if actual and percent in (0.0, 1.0):
        return table.sigma_max if percent == 0 else table.sigma_min
    return table.percent_to_sigma(percent)
