"""Where in the picture a prompt holds: areas and masks of conditioning entries, on the grid of a latent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.values import Area, ConditioningEntry

FEATHER = 8
"""Latent cells over which an area fades at an inner edge, at most a quarter of its side."""
SMALLEST_BOUND = 8

Box = tuple[int, int, int, int]
"""Top, left, height and width in latent cells."""


def to_batch(tensor: Tensor, size: int) -> Tensor:
    """Return the first `size` entries of dimension 0, going round again where there are fewer."""
    if tensor.shape[0] < size:
        tensor = tensor.repeat(-(-size // tensor.shape[0]), *[1] * (tensor.ndim - 1))
    return tensor[:size]


def resized_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Return the mask (B, H, W) at another size, bilinear."""
    if mask.shape[-2:] == (height, width):
        return mask
    return functional.interpolate(mask[:, None].float(), size=(height, width), mode="bilinear")[:, 0]


def on_grid(entry: ConditioningEntry, height: int, width: int) -> ConditioningEntry:
    """Return the entry with its area in cells inside (height, width) and its mask (B, height, width)."""
    mask = None if entry.mask is None else resized_mask(entry.mask, height, width)
    area = entry.area
    if mask is not None and entry.mask_bounds:
        area = _bounds(mask)
    elif area is not None and area.fraction:
        x, y = round(area.x * width), round(area.y * height)
        area = Area(x, y, max(1, round(area.width * width)), max(1, round(area.height * height)))
    return replace(entry, area=area, mask=mask, mask_bounds=False)


def with_matching_areas(
    entries: Sequence[ConditioningEntry], others: Sequence[ConditioningEntry]
) -> tuple[ConditioningEntry, ...]:
    """Return `entries`, on the grid, and for each area of `others` that they lack one that holds in just that area.

    Guidance inside an area then weighs two predictions of the same crop. The new one takes the prompt of the smallest
    entry around the area, and all else from the one in `others`.
    """
    matched = list(entries)
    for other in others:
        around = [entry for entry in matched if other.area is not None and _contains(entry.area, other.area)]
        if not around or any(entry.area == other.area for entry in around):
            continue
        prompt = min(around, key=lambda entry: float("inf") if entry.area is None else _cells(entry.area))
        matched.append(replace(other, embedding=prompt.embedding, pooled=prompt.pooled, extras=prompt.extras))
    return tuple(matched)


def box_of(area: Area | None, height: int, width: int) -> Box | None:
    """Return the cells of an area, clipped to (height, width); None for the whole."""
    if area is None:
        return None
    top, left = min(int(area.y), height - 1), min(int(area.x), width - 1)
    return top, left, min(int(area.height), height - top), min(int(area.width), width - left)


def crop(tensor: Tensor, box: Box | None) -> Tensor:
    """Return the part of (..., h, w) that lies in a box."""
    if box is None:
        return tensor
    top, left, height, width = box
    return tensor[..., top : top + height, left : left + width]


def weight_of(entry: ConditioningEntry, box: Box | None, height: int, width: int) -> float | Tensor:
    """Return the weight of an entry on the grid: a number, or (B, 1, box height, box width)."""
    if entry.mask is not None:
        return crop(entry.mask, box)[:, None] * (entry.mask_strength * entry.strength)
    if box is None:
        return entry.strength
    top, left, rows, columns = box
    ramps = _ramp(top, rows, height)[:, None] * _ramp(left, columns, width)
    return (ramps * entry.strength)[None, None]


def _ramp(start: int, length: int, whole: int) -> Tensor:
    """Return weights (length,) that fade linearly towards the ends that are not the picture's own."""
    fade = min(FEATHER, length // 4)
    ramp = torch.ones(length)
    if fade:
        rise = torch.arange(1, fade + 1) / fade
        if start > 0:
            ramp[:fade] *= rise
        if start + length < whole:
            ramp[-fade:] *= rise.flip(0)
    return ramp


def _bounds(mask: Tensor) -> Area:
    """Return the bounding box of what any mask of the batch marks."""
    marked = mask.amax(dim=0) > 0  # (H, W)
    rows, columns = marked.any(dim=1).nonzero().flatten(), marked.any(dim=0).nonzero().flatten()
    if not len(rows):
        return Area(0, 0, SMALLEST_BOUND, SMALLEST_BOUND)
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    return Area(left, top, max(SMALLEST_BOUND, width), max(SMALLEST_BOUND, height))


def _cells(area: Area) -> float:
    return area.width * area.height


def _contains(outer: Area | None, inner: Area) -> bool:
    if outer is None:
        return True
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and outer.x + outer.width >= inner.x + inner.width
        and outer.y + outer.height >= inner.y + inner.height
    )
