"""Stochastic samplers: each goes down further than a step asks and adds fresh noise up to the step's level.

`path` says how the model mixes data with noise, `x = alpha * clean + sigma * noise`. `eta` is the share of the noise
that the forward process would have added, 0 for none, and `s_noise` a factor on it. Two ways down are used, which
spread `eta` differently; at 1 they agree where alpha is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, FlowPath, NoiseSource, Path, Step
from nodegraph.diffusion.sampling.samplers import levels

Levels = Sequence[float] | Tensor


def ancestral_levels(sigma: float, lower: float, eta: float = 1.0) -> tuple[float, float]:
    """Return the level to go down to and the noise that leads back up to `lower`, where alpha is 1."""
    added = min(1.0, eta * math.sqrt(max(1 - (lower / sigma) ** 2, 0.0)))
    return lower * math.sqrt(1 - added**2), lower * added


def ancestral_step(path: Path, sigma: float, lower: float, eta: float = 1.0) -> tuple[float, float, float]:
    """Return the level to go down to, the factor that then brings alpha to that of `lower`, and the noise to add."""
    if not isinstance(path, FlowPath):
        down, up = ancestral_levels(sigma, lower, eta)
        return down, 1.0, up
    down = lower * (1 + (lower / sigma - 1) * eta)
    keep = path.alpha(lower) / path.alpha(down)
    return down, keep, math.sqrt(max(lower**2 - (down * keep) ** 2, 0.0))


def noised(x: Tensor, noise: NoiseSource | None, sigma: float, lower: float, scale: float) -> Tensor:
    """Return x with `scale` times the noise of a step, which is drawn only if there is any to add."""
    return torch.add(x, noise(x, sigma, lower), alpha=scale) if scale and noise is not None else x


def renoised(
    path: Path, x: Tensor, noise: NoiseSource, sigma: float, lower: float, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """Return x, which went down below `lower`, with the noise that brings it up to `lower`."""
    _, keep, up = ancestral_step(path, sigma, lower, eta)
    return noised(x * keep if keep != 1.0 else x, noise, sigma, lower, up * s_noise)


def descent_middle(
    path: Path, sigma: float, lower: float, eta: float, dtype: torch.dtype, from_start: bool = False
) -> float:
    """Return the geometric middle of `sigma` and the level that an ancestral step goes down to.

    At eta 1 that is `lower`, up to rounding. The rounding is done as k-diffusion does it, which interpolates from the
    start or from the end: a scheduler may have put `lower` half-way between two training steps, and then the last bit
    decides which one the network is told.
    """
    if eta != 1.0 or lower > sigma:
        return math.sqrt(sigma * ancestral_step(path, sigma, lower, eta)[0])
    start, end = torch.tensor(sigma, dtype=dtype), torch.tensor(lower, dtype=dtype)
    up = (end**2 * (start**2 - end**2) / start**2) ** 0.5
    near, far = start.log(), ((end**2 - up**2) ** 0.5).log()
    if not from_start:
        near, far = far, near
    return float((near + 0.5 * (far - near)).exp())


def euler_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Go down by an Euler step, then add noise."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        down, *_ = ancestral_step(path, sigma, lower, eta)
        x = torch.lerp(clean, x, down / sigma)
        if lower > 0:
            x = renoised(path, x, noise, sigma, lower, eta, s_noise)
        yield Step(x, clean, lower)


def dpm_2_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Go down with the slope at the geometric middle, then add noise."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        down, *_ = ancestral_step(path, sigma, lower, eta)
        if down > 0:
            middle = descent_middle(path, sigma, lower, eta, x.dtype)
            half_way = torch.lerp(clean, x, middle / sigma)
            slope = (half_way - denoise(half_way, middle)) / middle
            x = torch.add(x, slope, alpha=down - sigma)
        else:
            x = clean
        if lower > 0:
            x = renoised(path, x, noise, sigma, lower, eta, s_noise)
        yield Step(x, clean, lower)


def dpmpp_2s_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Go down with the clean sample at the middle log-SNR, then add noise (Lu et al. 2022, DPM-Solver++(2S))."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        down, *_ = ancestral_step(path, sigma, lower, eta)
        if down > 0:
            middle = _middle_in_log_snr(path, sigma, lower, eta, x.dtype)
            ahead = denoise(torch.lerp(clean, x, middle / sigma), middle)
            x = torch.lerp(ahead, x, down / sigma)
        else:
            x = clean
        if lower > 0:
            x = renoised(path, x, noise, sigma, lower, eta, s_noise)
        yield Step(x, clean, lower)


def _middle_in_log_snr(path: Path, sigma: float, lower: float, eta: float, dtype: torch.dtype) -> float:
    if not isinstance(path, FlowPath):
        return descent_middle(path, sigma, lower, eta, dtype, from_start=True)
    # From pure noise, infinitely far in log-SNR, the middle is next to the start.
    return path.middle(sigma, ancestral_step(path, sigma, lower, eta)[0]) if sigma < 1 else path.finite(sigma)


def reverse_step(path: Path, x: Tensor, clean: Tensor, sigma: float, lower: float, eta: float = 1.0) -> Tensor:
    """Return the mean of x at `lower` given x at `sigma` and the clean sample (Ho et al. 2020, equation 7, by sigma).

    `reverse_spread` is the deviation of what is drawn around it.
    """
    ratio = _snr_ratio(path, sigma, lower)
    return torch.add(x * (lower / sigma * ratio**eta), clean, alpha=path.alpha(lower) * (1 - ratio ** (1 + eta)))


def reverse_spread(path: Path, sigma: float, lower: float, eta: float = 1.0) -> float:
    """Return the deviation of x at `lower` around `reverse_step`."""
    return lower * math.sqrt(max(1 - _snr_ratio(path, sigma, lower) ** (2 * eta), 0.0))


def _snr_ratio(path: Path, sigma: float, lower: float) -> float:
    """Return exp(-h), h the width of the step in log-SNR."""
    return lower * path.alpha(sigma) / (sigma * path.alpha(lower))


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource) -> Iterator[Step]:
    """Draw from the posterior of the forward process (Ho et al. 2020, algorithm 2)."""
    path = VARIANCE_EXPLODING
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            x = reverse_step(path, x, clean, sigma, lower)
            x = noised(x, noise, sigma, lower, reverse_spread(path, sigma, lower))
        else:
            x = clean
        yield Step(x, clean, lower)


def lcm(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Noise the clean sample anew at each step, for consistency models (Luo et al. 2023)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        x = path.mix(clean, noise(x, sigma, lower), lower) if lower > 0 else clean
        yield Step(x, clean, lower)
