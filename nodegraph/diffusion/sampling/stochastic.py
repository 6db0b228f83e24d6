"""Stochastic samplers: each goes down further than a step asks and adds fresh noise up to the step's level.

`path` says how the model mixes data with noise, `x = alpha * clean + sigma * noise`. Two ways down are used, both with
as much noise as the forward process would have added ("eta" 1); they agree where alpha is 1.
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


def ancestral_step(path: Path, sigma: float, lower: float) -> tuple[float, float, float]:
    """Return the level to go down to, the factor that then brings alpha to that of `lower`, and the noise to add."""
    down = lower**2 / sigma
    keep = path.alpha(lower) / path.alpha(down)
    return down, keep, math.sqrt(max(lower**2 - (down * keep) ** 2, 0.0))


def renoised(path: Path, x: Tensor, noise: NoiseSource, sigma: float, lower: float) -> Tensor:
    """Return x, which went down below `lower`, with the noise that brings it up to `lower`."""
    _, keep, up = ancestral_step(path, sigma, lower)
    return torch.add(x * keep if keep != 1.0 else x, noise(x, sigma, lower), alpha=up)


def descent_middle(sigma: float, lower: float, dtype: torch.dtype, from_start: bool = False) -> float:
    """Return the geometric middle of `sigma` and the level that an ancestral step goes down to.

    That is `lower`, up to rounding. The rounding is done as k-diffusion does it, which interpolates from the start or
    from the end: a scheduler may have put `lower` half-way between two training steps, and then the last bit decides
    which one the network is told.
    """
    start, end = torch.tensor(sigma, dtype=dtype), torch.tensor(lower, dtype=dtype)
    up = (end**2 * (start**2 - end**2) / start**2) ** 0.5
    near, far = start.log(), ((end**2 - up**2) ** 0.5).log()
    if not from_start:
        near, far = far, near
    return float((near + 0.5 * (far - near)).exp())


def euler_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Go down by an Euler step, then add noise."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        x = torch.lerp(clean, x, (lower / sigma) ** 2)
        if lower > 0:
            x = renoised(path, x, noise, sigma, lower)
        yield Step(x, clean, lower)


def dpm_2_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Go down with the slope at the geometric middle, then add noise."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            down = lower**2 / sigma
            middle = descent_middle(sigma, lower, x.dtype)
            half_way = torch.lerp(clean, x, middle / sigma)
            slope = (half_way - denoise(half_way, middle)) / middle
            x = renoised(path, torch.add(x, slope, alpha=down - sigma), noise, sigma, lower)
        else:
            x = clean
        yield Step(x, clean, lower)


def dpmpp_2s_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Go down with the clean sample at the middle log-SNR, then add noise (Lu et al. 2022, DPM-Solver++(2S))."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            down = lower**2 / sigma
            if isinstance(
                path, FlowPath
            ):  # from pure noise, infinitely far in log-SNR, the middle is next to the start
                middle = path.middle(sigma, down) if sigma < 1 else path.finite(sigma)
            else:
                middle = descent_middle(sigma, lower, x.dtype, from_start=True)
            ahead = denoise(torch.lerp(clean, x, middle / sigma), middle)
            x = renoised(path, torch.lerp(ahead, x, down / sigma), noise, sigma, lower)
        else:
            x = clean
        yield Step(x, clean, lower)


def reverse_step(path: Path, x: Tensor, clean: Tensor, noise: Tensor, sigma: float, lower: float) -> Tensor:
    """Return a draw of x at `lower` given x at `sigma` and the clean sample (Ho et al. 2020, equation 7, by sigma)."""
    ratio = lower * path.alpha(sigma) / (sigma * path.alpha(lower))
    x = x * (path.alpha(lower) / path.alpha(sigma) * ratio**2)
    x = torch.add(x, clean, alpha=path.alpha(lower) * (1 - ratio**2))
    return torch.add(x, noise, alpha=lower * math.sqrt(1 - ratio**2))


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource) -> Iterator[Step]:
    """Draw from the posterior of the forward process (Ho et al. 2020, algorithm 2)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        x = reverse_step(VARIANCE_EXPLODING, x, clean, noise(x, sigma, lower), sigma, lower) if lower > 0 else clean
        yield Step(x, clean, lower)


def lcm(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Noise the clean sample anew at each step, for consistency models (Luo et al. 2023)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        x = path.mix(clean, noise(x, sigma, lower), lower) if lower > 0 else clean
        yield Step(x, clean, lower)


def dpmpp_sde(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Go half a step in log-SNR, and from the start again with the clean sample seen there (Lu et al. 2022)."""
    for sigma, lower in pairwise(_finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            middle = path.middle(sigma, lower)
            half_way = reverse_step(path, x, clean, noise(x, sigma, middle), sigma, middle)
            ahead = denoise(half_way, middle)
            x = reverse_step(path, x, ahead, noise(x, sigma, lower), sigma, lower)
        else:
            x = clean
        yield Step(x, clean, lower)


def dpmpp_2m_sde(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Draw with a clean sample extrapolated to the middle of the step (Lu et al. 2022, SDE-DPM-Solver++(2M))."""
    before: Tensor | None = None
    width_before = 0.0
    for sigma, lower in pairwise(_finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            width = path.log_snr(lower) - path.log_snr(sigma)
            ahead = clean if before is None else torch.lerp(before, clean, 1 + width / (2 * width_before))
            x = reverse_step(path, x, ahead, noise(x, sigma, lower), sigma, lower)
            width_before = width
        else:
            x = clean
        before = clean
        yield Step(x, clean, lower)


def dpmpp_2m_sde_heun(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Draw with a clean sample taken as linear in log-SNR over the last step and this one."""
    return _linear_sde(denoise, x, sigmas, noise, path, order=2)


def dpmpp_3m_sde(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, path: Path = VARIANCE_EXPLODING
) -> Iterator[Step]:
    """Draw with a clean sample taken as quadratic in log-SNR over the last two steps and this one."""
    return _linear_sde(denoise, x, sigmas, noise, path, order=3)


def _linear_sde(
    denoise: Denoiser, x: Tensor, sigmas: Levels, noise: NoiseSource, path: Path, order: int
) -> Iterator[Step]:
    """Integrate the reverse SDE exactly for a clean sample that is a polynomial of degree `order` - 1 in log-SNR."""
    history: list[tuple[Tensor, float]] = []  # clean samples, newest first, and the widths of the steps they began
    for sigma, lower in pairwise(_finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            width = path.log_snr(lower) - path.log_snr(sigma)
            x = reverse_step(path, x, clean, noise(x, sigma, lower), sigma, lower)
            x = torch.add(x, _drift(clean, width, history), alpha=path.alpha(lower)) if history else x
            history = [(clean, width), *history][: order - 1]
        else:
            x = clean
        yield Step(x, clean, lower)


def _drift(clean: Tensor, width: float, history: list[tuple[Tensor, float]]) -> Tensor:
    """Return what the slope, and with two former samples the curvature, of the clean sample adds to a step."""
    double = 2 * width  # the SDE's drift is twice the ODE's
    second = math.expm1(-double) / double + 1
    (last, last_width), *older = history
    slope = (clean - last) * (width / last_width)
    if not older:
        return slope * second
    before, before_width = older[0]
    older_slope = (last - before) * (width / before_width)
    near, far = last_width / width, before_width / width
    bend = (slope - older_slope) / (near + far)
    return (slope + bend * near) * second - bend * (second / double - 0.5)


def _finite_levels(path: Path, sigmas: Levels) -> list[float]:
    first, *rest = levels(sigmas)
    return [path.finite(first), *rest]
