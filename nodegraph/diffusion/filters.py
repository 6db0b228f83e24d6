"""Filters of pictures (B, C, H, W), by the rules of ComfyUI's nodes; nothing changes its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

MorphologyKind = Literal["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"]
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def blur(planes: Tensor, radius: int, sigma: float) -> Tensor:
    """Blur with a Gaussian that is cut off at `radius`; `sigma` is told in radii, and borders are mirrored.

    Raises ValueError for pictures with a side of `radius` pixels or less.
    """
    line = torch.linspace(-1.0, 1.0, 2 * radius + 1, device=planes.device, dtype=torch.float32)
    return convolved(planes, torch.exp(-(line**2) / (2 * sigma**2)))


def convolved(planes: Tensor, weights: Tensor) -> Tensor:
    """Convolve along both sides with `weights` (K odd), normalised; borders are mirrored."""
    radius, channels = len(weights) // 2, planes.shape[1]
    if min(planes.shape[-2:]) <= radius:
        height, width = planes.shape[-2:]
        raise ValueError(f"a radius of {radius} is too large for {width} x {height}: expected more pixels a side")
    line = (weights / weights.sum()).to(planes)
    padded = functional.pad(planes, (radius,) * 4, mode="reflect")
    rows = functional.conv2d(padded, line.expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(rows, line[:, None].expand(channels, 1, -1, 1), groups=channels)


def sharpen(planes: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """Add ten times `alpha` of what a blur takes away."""
    return torch.lerp(blur(planes, radius, sigma), planes, 1.0 + 10.0 * alpha)


def dilate(planes: Tensor, size: int) -> Tensor:
    """Return the largest value in a square of `size` around each place; beyond the border there is nothing."""
    before, after = size // 2, size - size // 2 - 1
    padded = functional.pad(planes, (before, after, before, after), value=-torch.inf)
    return _largest(_largest(padded, size, -2), size, -1)


def _largest(planes: Tensor, size: int, dim: int) -> Tensor:
    """Return the largest of each `size` neighbours along a side, which is `size` - 1 shorter then.

    Windows are put together of two that are half as long, so that long ones cost hardly more than short ones.
    """
    width = 1
    while width < size:
        step = min(width, size - width)
        left = planes.shape[dim] - step
        planes = torch.maximum(planes.narrow(dim, 0, left), planes.narrow(dim, step, left))
        width += step
    return planes


def erode(planes: Tensor, size: int) -> Tensor:
    """Return the smallest value in a square of `size` around each place; beyond the border there is nothing."""
    return -dilate(-planes, size)


def morphology(planes: Tensor, kind: MorphologyKind, size: int) -> Tensor:
    """Return what grey-scale morphology with a square of `size` gives."""
    operations: dict[str, Callable[[], Tensor]] = {
        "erode": lambda: erode(planes, size),
        "dilate": lambda: dilate(planes, size),
        "open": lambda: dilate(erode(planes, size), size),
        "close": lambda: erode(dilate(planes, size), size),
        "gradient": lambda: dilate(planes, size) - erode(planes, size),
        "top_hat": lambda: planes - dilate(erode(planes, size), size),
        "bottom_hat": lambda: erode(dilate(planes, size), size) - planes,
    }
    return operations[kind]()


def noisy(pixels: Tensor, seed: int, strength: float) -> Tensor:
    """Add Gaussian noise, drawn on the CPU in the order of `pixels` (B, H, W, C), and cut off to [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return (pixels + strength * torch.randn(pixels.shape, generator=generator)).clamp(0.0, 1.0)


def luma(planes: Tensor) -> Tensor:
    """Return the brightness (B, 1, H, W) of colours (B, 3, H, W)."""
    return (planes * torch.tensor(LUMA, device=planes.device)[:, None, None]).sum(1, keepdim=True)


def to_yuv(planes: Tensor) -> Tensor:
    """Return brightness and two colour differences about 0.5 (B, 3, H, W) of colours (JFIF's, rounded)."""
    red, _, blue = planes.split(1, dim=1)
    bright = luma(planes)
    return torch.cat([bright, (blue - bright) * 0.564 + 0.5, (red - bright) * 0.713 + 0.5], dim=1)


def from_yuv(planes: Tensor) -> Tensor:
    """Return the colours that `to_yuv` was given, cut off to [0, 1]."""
    bright, first, second = planes.split(1, dim=1)
    first, second = first - 0.5, second - 0.5
    green = bright - 0.714 * second - 0.344 * first
    return torch.cat([bright + 1.403 * second, green, bright + 1.773 * first], dim=1).clamp(0.0, 1.0)
