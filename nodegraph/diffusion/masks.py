"""Masks (B, H, W) combined, cut, feathered and grown, by the rules of ComfyUI's nodes; nothing changes its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.pixels import same_batch

MaskOperation = Literal["multiply", "add", "subtract", "and", "or", "xor"]


def cropped(values: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Cut a rectangle out; raise ValueError where it lies outside."""
    if x >= values.shape[2] or y >= values.shape[1]:
        raise ValueError(
            f"the corner ({x}, {y}) lies outside the mask of {values.shape[2]} x {values.shape[1]}: "
            f"expected x below {values.shape[2]} and y below {values.shape[1]}"
        )
    return values[:, y : y + height, x : x + width].clone()


def composed(destination: Tensor, source: Tensor, x: int, y: int, operation: MaskOperation) -> Tensor:
    """Combine `source`, from (x, y) on, with what lies below; for the logical ones 0.5 and less is no."""
    destination, source = same_batch(destination, source)
    out = destination.clone()
    height, width = max(0, min(source.shape[1], out.shape[1] - y)), max(0, min(source.shape[2], out.shape[2] - x))
    window, seen = out[:, y : y + height, x : x + width], source[:, :height, :width]
    below, above = window.round().bool(), seen.round().bool()
    operations: dict[str, Callable[[], Tensor]] = {
        "multiply": lambda: window * seen,
        "add": lambda: window + seen,
        "subtract": lambda: window - seen,
        "and": lambda: (below & above).to(out),
        "or": lambda: (below | above).to(out),
        "xor": lambda: (below ^ above).to(out),
    }
    window.copy_(operations[operation]())
    return out.clamp_(0.0, 1.0)


def grown(values: Tensor, by: int, *, diamond: bool, check: Callable[[], object] = lambda: None) -> Tensor:
    """Let the bright parts grow by so many pixels, or shrink where `by` is negative.

    They grow as a square or, pixel by pixel in the four directions, as a diamond. `check` is called between the pixels.
    """
    sign = -1 if by < 0 else 1
    planes = (values * sign)[:, None]
    for _ in range(abs(by)):
        check()
        if diamond:
            down = functional.max_pool2d(planes, (3, 1), 1, padding=(1, 0))
            wider = torch.maximum(down, functional.max_pool2d(planes, (1, 3), 1, padding=(0, 1)))
        else:
            wider = functional.max_pool2d(planes, 3, 1, padding=1)
        if torch.equal(wider, planes):  # nothing is left to grow into
            break
        planes = wider
    return planes[:, 0] * sign


def spread(values: Tensor, size: int) -> Tensor:
    """Return 1 wherever a rounded mask has a 1 within a square of `size`, as before encoding for inpainting."""
    marked = values.round()[:, None]
    if size > 1:
        marked = functional.max_pool2d(marked, size, 1, padding=size // 2)[..., : values.shape[1], : values.shape[2]]
    return marked[:, 0]


def of_color(pixels: Tensor, color: int) -> Tensor:
    """Return 1 where pictures (B, H, W, C) have the colour 0xRRGGBB in 8 bits a channel."""
    levels = (pixels[..., :3].clamp(0, 1) * 255.0).round().long()
    wanted = torch.tensor([(color >> 16) & 255, (color >> 8) & 255, color & 255])
    return (levels == wanted).all(-1).float()
