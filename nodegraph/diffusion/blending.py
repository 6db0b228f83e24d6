"""Pictures and masks laid over one another, by the rules of ComfyUI's nodes; nothing changes its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.sampling.regions import resized_mask, to_batch

BlendMode = Literal["normal", "multiply", "screen", "overlay", "soft_light", "difference"]
PorterDuff = Literal[
    "ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY", "OVERLAY",
    "SCREEN", "SRC", "SRC_ATOP", "SRC_IN", "SRC_OUT", "SRC_OVER", "XOR",
]  # fmt: skip


def blended(below: Tensor, above: Tensor, mode: BlendMode, share: float) -> Tensor:
    """Mix pictures of one shape with what `mode` makes of both; the result is cut off to [0, 1]."""
    modes: dict[str, Callable[[], Tensor]] = {
        "normal": lambda: above,
        "multiply": lambda: below * above,
        "screen": lambda: 1 - (1 - below) * (1 - above),
        "overlay": lambda: torch.where(below <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above)),
        "soft_light": lambda: _soft_light(below, above),
        "difference": lambda: below - above,
    }
    return torch.lerp(below, modes[mode](), share).clamp(0.0, 1.0)


def _soft_light(below: Tensor, above: Tensor) -> Tensor:
    """W3C, Compositing and Blending Level 1, section 10.1.9."""
    root = torch.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, below.clamp_min(0).sqrt())
    darker = below - (1 - 2 * above) * below * (1 - below)
    return torch.where(above <= 0.5, darker, below + (2 * above - 1) * (root - below))


def pasted(
    destination: Tensor, source: Tensor, left: int, top: int, mask: Tensor | None = None, *, stretch: bool = False
) -> Tensor:
    """Return `destination` (B, C, H, W) with `source` laid over it from (top, left) on, where `mask` (B, h, w) is 1.

    `stretch` gives the source the destination's size first; the mask always takes the source's. What lies outside is
    left out, and shorter batches go round again. Raises ValueError where the channels differ.
    """
    if destination.shape[1] != source.shape[1]:
        raise ValueError(f"source: got {source.shape[1]} channels, expected the destination's {destination.shape[1]}")
    if stretch:
        source = functional.interpolate(source, size=destination.shape[-2:], mode="bilinear")
    source = to_batch(source, len(destination))
    height = max(0, min(source.shape[-2], destination.shape[-2] - top))
    width = max(0, min(source.shape[-1], destination.shape[-1] - left))
    out = destination.clone()
    window = out[..., top : top + height, left : left + width]
    seen = source[..., :height, :width].to(out)
    if mask is None:
        window.copy_(seen)
        return out
    shown = to_batch(resized_mask(mask, *source.shape[-2:]), len(source))[:, None, :height, :width]
    window.copy_(torch.lerp(window, seen, shown.to(out)))
    return out


def faded(height: int, width: int, *, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> Tensor:
    """Return weights (height, width) that rise linearly to 1 over so many places from each side."""
    return _ramp(height, top, bottom)[:, None] * _ramp(width, left, right)


def _ramp(length: int, before: int, after: int) -> Tensor:
    ramp = torch.ones(length)
    if before:
        ramp *= (torch.arange(1, length + 1) / before).clamp_max(1.0)
    if after:
        ramp *= (torch.arange(length, 0, -1) / after).clamp_max(1.0)
    return ramp


def porter_duff(
    source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: PorterDuff
) -> tuple[Tensor, Tensor]:
    """Compose pictures (..., C) with alphas (..., 1) (Porter and Duff 1984); return the picture and its alpha.

    Colours are not premultiplied. The modes that they do not have are those of Android's PorterDuff.Mode.
    """
    src, dst, a, b = source * source_alpha, destination * destination_alpha, source_alpha, destination_alpha
    union = a + b - a * b
    modes: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "ADD": lambda: ((src + dst).clamp(0, 1), (a + b).clamp(0, 1)),
        "CLEAR": lambda: (torch.zeros_like(dst), torch.zeros_like(b)),
        "DARKEN": lambda: ((1 - b) * src + (1 - a) * dst + torch.minimum(src, dst), union),
        "DST": lambda: (dst, b),
        "DST_ATOP": lambda: (a * dst + (1 - b) * src, a),
        "DST_IN": lambda: (dst * a, a * b),
        "DST_OUT": lambda: ((1 - a) * dst, (1 - a) * b),
        "DST_OVER": lambda: (dst + (1 - b) * src, union),
        "LIGHTEN": lambda: ((1 - b) * src + (1 - a) * dst + torch.maximum(src, dst), union),
        "MULTIPLY": lambda: (src * dst, a * b),
        "OVERLAY": lambda: (torch.where(2 * dst < b, 2 * src * dst, a * b - 2 * (b - src) * (a - dst)), union),
        "SCREEN": lambda: (src + dst - src * dst, union),
        "SRC": lambda: (src, a),
        "SRC_ATOP": lambda: (b * src + (1 - a) * dst, b),
        "SRC_IN": lambda: (src * b, a * b),
        "SRC_OUT": lambda: ((1 - b) * src, (1 - b) * a),
        "SRC_OVER": lambda: (src + (1 - a) * dst, union),
        "XOR": lambda: ((1 - b) * src + (1 - a) * dst, (1 - b) * a + (1 - a) * b),
    }
    color, alpha = modes[mode]()
    plain = torch.where(alpha > 1e-5, color / alpha, torch.zeros_like(color))
    return plain.clamp(0.0, 1.0), alpha
