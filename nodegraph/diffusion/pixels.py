"""Sizes and joins of pictures (B, H, W, C) in [0, 1], by the rules of ComfyUI's nodes; nothing changes its input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from nodegraph.diffusion.images import Crop, Resampling, resize
from nodegraph.diffusion.sampling.regions import to_batch

Direction = Literal["right", "down", "left", "up"]
COLORS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0),
          "blue": (0.0, 0.0, 1.0)}  # fmt: skip
MEGAPIXEL = 1024 * 1024


def scaled(pixels: Tensor, width: int, height: int, method: Resampling, crop: Crop = "disabled") -> Tensor:
    """Resize pictures; what a filter overshoots is cut off."""
    planes = resize(pixels.movedim(-1, 1), width, height, method, crop)
    return planes.movedim(1, -1).clamp(0.0, 1.0).contiguous()


def size_of_area(width: int, height: int, megapixels: float) -> tuple[int, int]:
    """Return (width, height) of the same shape with so many times 1024 x 1024 pixels."""
    factor = math.sqrt(megapixels * MEGAPIXEL / (width * height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def size_of_longest(width: int, height: int, longest: int) -> tuple[int, int]:
    """Return (width, height) of the same shape whose longer side is `longest`."""
    if height > width:
        return max(1, round(width / height * longest)), longest
    return longest, max(1, round(height / width * longest))


def padded_to(pixels: Tensor, width: int, height: int, method: Resampling, color: Sequence[float]) -> Tensor:
    """Resize pictures to fit into `width` x `height` and fill up around them."""
    old_height, old_width = pixels.shape[1:3]
    factor = min(width / old_width, height / old_height)
    fitting = scaled(pixels, max(1, int(old_width * factor)), max(1, int(old_height * factor)), method)
    return centred(fitting, width, height, color)


def centred(pixels: Tensor, width: int, height: int, color: Sequence[float]) -> Tensor:
    """Put pictures into the middle of `width` x `height` of one colour, at least as large as they are."""
    if pixels.shape[1:3] == (height, width):
        return pixels
    canvas = filled(len(pixels), height, width, pixels.shape[-1], color)
    top, left = (height - pixels.shape[1]) // 2, (width - pixels.shape[2]) // 2
    canvas[:, top : top + pixels.shape[1], left : left + pixels.shape[2]] = pixels
    return canvas


def filled(batch: int, height: int, width: int, channels: int, color: Sequence[float]) -> Tensor:
    """Return pictures of one colour (red, green, blue), opaque; grey ones take its mean."""
    if channels == 1:
        values = [sum(color) / len(color)]
    else:
        values = [*color, 1.0][:channels]
    return torch.tensor(values).expand(batch, height, width, channels).contiguous()


def of_rgb(color: int) -> tuple[float, float, float]:
    """Return a colour written as 0xRRGGBB."""
    return ((color >> 16) & 255) / 255.0, ((color >> 8) & 255) / 255.0, (color & 255) / 255.0


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Return pictures with `channels` channels: grey is spread, a missing alpha is 1, one too many is left out."""
    if pixels.shape[-1] == 1 and channels > 1:
        pixels = pixels.expand(*pixels.shape[:-1], 3)
    if pixels.shape[-1] == 3 and channels == 4:
        pixels = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    return pixels[..., :channels]


def same_batch(*tensors: Tensor) -> list[Tensor]:
    """Return tensors with as many entries as the longest, shorter ones going round again."""
    longest = max(len(tensor) for tensor in tensors)
    return [to_batch(tensor, longest) for tensor in tensors]


def stitched(
    first: Tensor, second: Tensor, direction: Direction, *, match: bool, spacing: int, color: Sequence[float]
) -> Tensor:
    """Put pictures side by side; `match` gives the second the first's height (or width), else both are filled up.

    A shorter batch repeats its last picture. `spacing` pixels, made even, of `color` stand between them.
    """
    flat = direction in ("right", "left")
    longest = max(len(first), len(second))
    first, second = (torch.cat([p, p[-1:].expand(longest - len(p), -1, -1, -1)]) for p in (first, second))
    (height, width), (other_height, other_width) = first.shape[1:3], second.shape[1:3]
    if match:
        ratio = other_width / other_height
        size = (int(height * ratio), height) if flat else (width, int(width / ratio))
        second = scaled(second, max(1, size[0]), max(1, size[1]), "lanczos")
    elif flat:
        tallest = max(height, other_height)
        first, second = centred(first, width, tallest, color), centred(second, other_width, tallest, color)
    else:
        widest = max(width, other_width)
        first, second = centred(first, widest, height, color), centred(second, widest, other_height, color)
    channels = max(first.shape[-1], second.shape[-1])
    first, second = with_channels(first, channels), with_channels(second, channels)
    parts = [first, second] if direction in ("right", "down") else [second, first]
    if spacing:
        even = spacing + spacing % 2
        size = (even, first.shape[1]) if flat else (first.shape[2], even)
        parts.insert(1, filled(longest, size[1], size[0], channels, color))
    return torch.cat(parts, dim=2 if flat else 1)


def outpaint_canvas(
    pixels: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """Return pictures with room of grey around them, and a mask (1, H, W) of what is to be painted.

    The mask fades quadratically into the picture over `feathering` pixels from each side that has room, unless the
    picture is too small for it.
    """
    batch, height, width, channels = pixels.shape
    canvas = torch.full((batch, top + height + bottom, left + width + right, channels), 0.5)
    canvas[:, top : top + height, left : left + width] = pixels
    inner = torch.zeros(height, width)
    if feathering > 0 and feathering * 2 < min(height, width):
        rows = _distance(height, before=top > 0, after=bottom > 0, far=height)
        columns = _distance(width, before=left > 0, after=right > 0, far=width)
        near = torch.minimum(rows[:, None], columns)
        inner = ((feathering - near).clamp_min(0) / feathering) ** 2
    mask = torch.ones(canvas.shape[1:3])
    mask[top : top + height, left : left + width] = inner
    return canvas, mask[None]


def _distance(length: int, *, before: bool, after: bool, far: int) -> Tensor:
    """Return how far each place is from the ends that count, `far` where none does."""
    places = torch.arange(length, dtype=torch.float32)
    none = torch.full_like(places, float(far))
    return torch.minimum(places if before else none, length - places if after else none)
