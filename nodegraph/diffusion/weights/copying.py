"""Numbers from where they are stored to where they are wanted, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CACHED = 2**19
"""Elements that are converted at a time: at float32 two megabytes, which stay in a processor's cache."""


def parts(target: Tensor, count: int) -> Iterator[Tensor]:
    """Yield parts of a tensor in the order of its numbers, of `count` elements or fewer.

    They are flat where its memory is in that order too. Where it is not (channels_last), they are rows of the first
    dimension, one at the least.
    """
    if target.is_contiguous():
        yield from target.view(-1).split(max(1, count))
    else:
        yield from target.split(max(1, count // max(1, target[0].numel())))


def put(source: Tensor, target: Tensor) -> None:
    """Copy the numbers of a tensor on the CPU into one of the same shape.

    From one narrow precision to another they go by float32, which gives the same: torch has vector code for both ways
    and none for the direct one, which takes ten times as long. Precision and order of memory are changed one after the
    other for the same reason.
    """
    if source.dtype == target.dtype or target.device.type != "cpu" or source.numel() == 0:
        target.copy_(source)
        return
    rows = max(1, CACHED * len(source) // source.numel())
    shape = min(rows, len(source)), *source.shape[1:]
    steps = [] if torch.float32 in (source.dtype, target.dtype) else [torch.empty(shape, dtype=torch.float32)]
    if not target.is_contiguous():
        steps.append(torch.empty(shape, dtype=target.dtype))
    for some, there in zip(source.split(rows), target.split(rows), strict=True):
        for step in steps:
            some = step[: len(some)].copy_(some)
        there.copy_(some)
