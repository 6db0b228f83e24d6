"""Upscaling networks: loaded from files, and run on pictures in tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from nodegraph.diffusion.interruption import bringing, interruptible
from nodegraph.diffusion.memory.filling import Tell as Loading
from nodegraph.diffusion.memory.shortage import first_that_fits
from nodegraph.diffusion.models.span import Span
from nodegraph.diffusion.models.upscaling import CompactConfig, RrdbConfig, SpanConfig
from nodegraph.diffusion.pixels import with_channels
from nodegraph.diffusion.tiling import Grid, Tell, tile_attempts, tiled
from nodegraph.diffusion.values import Placed, UpscaleModel
from nodegraph.diffusion.weights.layouts.upscalers import PART, UPSCALERS
from nodegraph.diffusion.weights.load import load_checkpoint

TILE, SMALLEST, OVERLAP = 512, 128, 32
"""Pixels a side of the tiles to begin with, of the smallest to try, and of what they share."""


def load_upscaler(path: Path, *, device: str | None = None, progress: Loading | None = None) -> UpscaleModel:
    """Load an upscaling network, in float32; raise a WeightsError for what is none that is known."""
    checkpoint = load_checkpoint(path, device=device, dtype=torch.float32, families=UPSCALERS, progress=progress)
    network = checkpoint.networks[PART].eval()
    config = cast("RrdbConfig | CompactConfig | SpanConfig", network.config)
    if isinstance(network, Span):
        network.fuse()
    return UpscaleModel(Placed(network), config.scale, config.in_channels, checkpoint.family.name)


def upscaled(
    model: UpscaleModel,
    pixels: Tensor,
    *,
    tile: int = TILE,
    tell: Tell = lambda *_: None,
    told: Callable[[str], object] = lambda _: None,
    check: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return pictures (B, H * scale, W * scale, C) of (B, H, W, C); alpha is left out.

    Where memory runs out it goes on with smaller tiles, down to `SMALLEST`, which `told` hears of. `check` is called
    within the network; what it raises stops it.
    """
    planes = with_channels(pixels, model.channels).movedim(-1, 1)
    with model.network.lend(bringing(check)) as network, interruptible(network, check, convolutions=True):
        weight = next(network.parameters())

        @torch.inference_mode()
        def larger(part: Tensor) -> Tensor:
            out: Tensor = network(part.to(weight))
            return out

        def run(side: int) -> Tensor:
            return tiled(larger, planes, Grid(side, min(OVERLAP, side // 4), 1, model.scale), tell=tell)

        attempts = tile_attempts(run, tile, SMALLEST)
        out = first_that_fits("making the picture larger", weight.device, attempts, told)
    return out.clamp_(0.0, 1.0).movedim(1, -1).contiguous()
