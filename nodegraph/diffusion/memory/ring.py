"""A piece of memory that is used again and again for what comes and goes in turn."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

ALIGNED = 64
"""Bytes at whose multiples blocks begin, as torch's own memory does."""


class Ring:
    """Blocks of `size` bytes in all, each taken behind the last; they may be given back in any order."""

    def __init__(self, size: int, device: torch.device) -> None:
        self._size = padded(size)
        with torch.inference_mode(False):  # what was made there may not be written to elsewhere
            self._memory = torch.empty(self._size, dtype=torch.uint8, device=device)
        self._taken: list[tuple[int, int]] = []

    def take(self, size: int) -> tuple[int, Tensor] | None:
        """Return where a block is and its bytes, None where there is no room behind the last one."""
        size = padded(size)
        start = self._start(size)
        if start is None:
            return None
        self._taken.append((start, start + size))
        return start, self._memory[start : start + size]

    def give(self, start: int) -> None:
        """Give the block at a place back."""
        self._taken = [block for block in self._taken if block[0] != start]

    def _start(self, size: int) -> int | None:
        if not self._taken:
            return 0 if size <= self._size else None
        first, end = self._taken[0][0], self._taken[-1][1]
        if end <= first:  # the last blocks are before the first ones already
            return end if end + size <= first else None
        if end + size <= self._size:
            return end
        return 0 if size <= first else None


def padded(size: int) -> int:
    """Return the bytes that a block of `size` takes."""
    return max(size, 1) + -max(size, 1) % ALIGNED


def laid(memory: Tensor, shape: tuple[int, ...], dtype: torch.dtype, format: torch.memory_format) -> Tensor:
    """Return a tensor whose memory, in an order, is the first of some bytes."""
    flat = memory[: prod(shape) * dtype.itemsize].view(dtype)
    if format == torch.channels_last:
        out, into, height, width = shape
        return flat.view(out, height, width, into).permute(0, 3, 1, 2)
    return flat.view(shape)
