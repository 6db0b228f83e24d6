"""Sampling of consistency models whose sample grows on the way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from nodegraph.diffusion.images import Resampling, resize
from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, NoiseSource, Path, Step
from nodegraph.diffusion.sampling.samplers import Levels, levels


def lcm_upscale(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    scale_ratio: float = 2.0,
    scale_steps: int = -1,
    upscale_method: Resampling = "bislerp",
) -> Iterator[Step]:
    """Noise the clean sample anew at each step, and let it grow evenly to `scale_ratio` over `scale_steps` steps.

    -1 stands for half of the steps, of which there is at least one.
    """
    visited = levels(sigmas)
    growing = scale_steps if scale_steps >= 0 else max(len(visited) // 2, 1)
    growing = min(growing, len(visited))
    height, width = x.shape[-2:]
    for index, (sigma, lower) in enumerate(pairwise(visited)):
        x = clean = denoise(x, sigma)
        if index < growing:
            scale = 1 + (scale_ratio - 1) * (index + 1) / growing
            x = resize(x, round(width * scale), round(height * scale), upscale_method)
        if lower > 0:
            x = path.mix(x, noise(x, sigma, lower), lower)
        yield Step(x, clean, lower)
