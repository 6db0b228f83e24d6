"""Pictures of few colours, with and without dithering."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from nodegraph.diffusion.images import to_pillow

Dither = Literal["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"]


def quantized(picture: Tensor, colors: int, dither: Dither) -> Tensor:
    """Return a picture (H, W, 3) with at most `colors` colours of its own, as (H, W, 3) in [0, 1].

    Bayer's dithering is ordered: a pattern of so many pixels a side is added before the nearest colour is taken.
    """
    rgb = to_pillow(picture).convert("RGB")
    few = rgb.quantize(colors=colors)
    if dither == "floyd-steinberg":
        out = rgb.quantize(colors=colors, palette=few, dither=Pillow.Dither.FLOYDSTEINBERG)
    else:
        if dither.startswith("bayer"):
            rgb = _ordered(rgb, len(few.getpalette() or ()) // 3, int(dither.removeprefix("bayer-")))
        out = rgb.quantize(colors=colors, palette=few, dither=Pillow.Dither.NONE)
    return torch.from_numpy(np.array(out.convert("RGB"))).float() / 255.0


def _ordered(rgb: Pillow.Image, colors: int, order: int) -> Pillow.Image:
    """Return a picture with Bayer's pattern added, as strong as two steps between `colors` evenly spread levels."""
    array = np.array(rgb, dtype=np.float32)
    pattern = (2 * 256 / max(colors, 1)) * bayer(int(math.log2(order))) + 0.5
    height, width = array.shape[:2]
    tiled = np.tile(pattern, (-(-height // order), -(-width // order)))[:height, :width, None]
    return Pillow.fromarray((array + tiled).clip(0, 255).astype(np.uint8))


def bayer(order: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return Bayer's threshold matrix (Bayer 1973) of 2 ** `order` a side, about 0 and less than 0.5 off it."""
    matrix = np.zeros((1, 1), dtype=np.float32)
    for level in range(1, order + 1):
        cells = 4**level
        matrix = np.block([[cells * matrix - 1.5, cells * matrix + 0.5], [cells * matrix + 1.5, cells * matrix - 0.5]])
        matrix = (matrix / cells).astype(np.float32)
    return matrix
