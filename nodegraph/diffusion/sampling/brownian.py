"""A Brownian path that can be asked at any time and in any order, equal to torchsde's `BrownianTree`.

The path is refined by bisection: the value in the middle of two known times is drawn from the Brownian bridge between
them, seeded by the place in the tree, until the middle is the time asked for (Li et al. 2020, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

DIGITS = 6
"""Times are told apart to so many decimals."""
POOL = 24
"""Size of the entropy pool that seeds are drawn from; part of what makes the path equal to torchsde's."""


class _Node(NamedTuple):
    """An interval of the path: its ends, the value at the start, the increment over it, its place in the tree."""

    start: float
    end: float
    value: Tensor
    increment: Tensor
    key: int
    depth: int


class BrownianTree:
    """A Brownian path (shape) over [start, end] that is 0 at `start`, determined by `seed`."""

    def __init__(
        self,
        shape: Sequence[int],
        start: float,
        end: float,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not start < end:
            raise ValueError(f"BrownianTree: got the interval [{start}, {end}], expected start < end")
        self._shape, self._seed, self._device, self._dtype = tuple(shape), seed, torch.device(device), dtype
        self._generator = torch.Generator(self._device)
        start, end = round(start, DIGITS), round(end, DIGITS)
        root = np.random.SeedSequence(seed, pool_size=POOL).generate_state(3)[0]
        increment = self._normal(int(root)) * math.sqrt(end - start)
        self._branch = [_Node(start, end, torch.zeros_like(increment), increment, 0, 0)]

    def __call__(self, time: float) -> Tensor:
        """Return the path's value at a time; outside the interval, at its nearer end."""
        root = self._branch[0]
        time = min(max(round(time, DIGITS), root.start), root.end)
        while not self._branch[-1].start <= time <= self._branch[-1].end:  # go up to what both branches share
            self._branch.pop()
        while True:
            node = self._branch[-1]
            if time == node.start:
                return node.value
            if time == node.end:
                return node.value + node.increment
            self._branch.append(self._half(node, time))

    def _half(self, node: _Node, time: float) -> _Node:
        """Return the half of the interval in which `time` lies."""
        start, end, value, increment, key, depth = node
        middle = round((start + end) / 2, DIGITS)
        seeds = np.random.SeedSequence(self._seed, spawn_key=(key, depth), pool_size=POOL)
        spread = math.sqrt((middle - start) * (end - middle) / (end - start))
        left = self._normal(int(seeds.generate_state(4)[0])).mul_(spread)
        left.add_(increment, alpha=(middle - start) / (end - start))
        if time <= middle:
            return _Node(start, middle, value, left, 2 * key, depth + 1)
        right = increment - left
        return _Node(middle, end, left.add_(value), right, 2 * key + 1, depth + 1)

    def _normal(self, seed: int) -> Tensor:
        self._generator.manual_seed(seed)
        return torch.randn(self._shape, dtype=self._dtype, device=self._device, generator=self._generator)
