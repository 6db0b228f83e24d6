"""CFG++ (Chung et al. 2024): the guided clean sample is noised anew along the unconditional one's slope.

The samplers ask `both` for the two clean samples instead of `denoise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import (
    VARIANCE_EXPLODING,
    Denoiser,
    NoiseSource,
    PairDenoiser,
    Path,
    Step,
)
from nodegraph.diffusion.sampling.samplers import Levels, levels
from nodegraph.diffusion.sampling.stochastic import ancestral_levels, descent_middle, noised


def euler_cfg_pp(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, both: PairDenoiser, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Follow the unconditional slope down from the guided clean sample."""
    return _euler(x, sigmas, both, None, path, 0.0, 0.0)


def euler_ancestral_cfg_pp(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    both: PairDenoiser,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Follow the unconditional slope down from the guided clean sample, then add noise."""
    return _euler(x, sigmas, both, noise, path, eta, s_noise)


def _euler(
    x: Tensor, sigmas: Levels, both: PairDenoiser, noise: NoiseSource | None, path: Path, eta: float, s_noise: float
) -> Iterator[Step]:
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma)
        if lower > 0:
            start, alpha = path.alpha(sigma), path.alpha(lower)
            highest = sigma / start if start else math.inf
            down, up = ancestral_levels(highest, lower / alpha, eta)
            slope = torch.sub(x, followed, alpha=start) / sigma
            x = torch.add(clean, slope, alpha=down) * alpha
            x = noised(x, noise, sigma, lower, alpha * up * s_noise)
        else:
            x = clean
        yield Step(x, clean, lower)


def euler_alternative_cfg_pp(denoise: Denoiser, x: Tensor, sigmas: Levels, *, both: PairDenoiser) -> Iterator[Step]:
    """Take Euler steps of x moved from the guided clean sample to the unconditional one."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma)
        x = torch.add(x, (x - clean + followed - clean) / sigma, alpha=lower - sigma)
        yield Step(x, clean, lower)


def dpmpp_2s_ancestral_cfg_pp(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    both: PairDenoiser,
    noise: NoiseSource,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Step as `dpmpp_2s_ancestral` does, from x moved by the guidance, then add noise.

    From half-way on the guidance is told by the first guided sample and the second unconditional one. This shrinks
    contrasts a little even without guidance, and is how all programs do it.
    """
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma)
        down, up = ancestral_levels(sigma, lower, eta)
        if down > 0:
            middle = descent_middle(VARIANCE_EXPLODING, sigma, lower, eta, x.dtype, from_start=True)
            ahead, followed = both(torch.lerp(clean, x + (clean - followed), middle / sigma), middle)
            x = torch.lerp(ahead, x + (clean - followed), down / sigma)
        else:
            x = clean
        x = noised(x, noise, sigma, lower, up * s_noise)
        yield Step(x, clean, lower)


def dpmpp_2m_cfg_pp(denoise: Denoiser, x: Tensor, sigmas: Levels, *, both: PairDenoiser) -> Iterator[Step]:
    """Extrapolate along the unconditional clean samples from the guided one, order 2."""
    before: Tensor | None = None
    width_before = 0.0
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma)
        if lower > 0:
            width = math.log(sigma / lower)
            x = torch.add(clean, x - followed, alpha=lower / sigma)
            if before is not None:
                x = torch.add(x, clean - before, alpha=(1 - lower / sigma) * width / (2 * width_before))
            width_before = width
        else:
            x = clean
        before = followed
        yield Step(x, clean, lower)


def gradient_estimation_cfg_pp(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, both: PairDenoiser, ge_gamma: float = 2.0
) -> Iterator[Step]:
    """Follow the unconditional slope from the guided clean sample, ahead of the slope's own change."""
    before: Tensor | None = None
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma)
        slope = (x - followed) / sigma
        if lower > 0:
            x = torch.add(clean, slope, alpha=lower)
            if before is not None:
                x = torch.add(x, slope - before, alpha=(ge_gamma - 1) * (lower - sigma))
        else:
            x = clean
        before = slope
        yield Step(x, clean, lower)
