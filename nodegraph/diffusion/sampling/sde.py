"""Samplers of the reverse stochastic equation in log-SNR, exact for a clean sample that is constant or a polynomial.

`eta` is the share of the noise that the forward process would have added, `s_noise` a factor on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, NoiseSource, Path, Step
from nodegraph.diffusion.sampling.samplers import levels
from nodegraph.diffusion.sampling.stochastic import Levels, ancestral_levels, noised, reverse_spread, reverse_step


def finite_levels(path: Path, sigmas: Levels) -> list[float]:
    """Return the levels, the first one such that its log-SNR is finite."""
    first, *rest = levels(sigmas)
    return [path.finite(first), *rest]


def dpmpp_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
) -> Iterator[Step]:
    """Go the share `r` of a step in log-SNR, and from the start again with what is seen there (Lu et al. 2022)."""
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            start, end = path.log_snr(sigma), path.log_snr(lower)
            middle = path.sigma(start + r * (end - start))
            part_way = _ancestral(path, x, clean, noise, (sigma, middle), eta, s_noise)
            ahead = torch.lerp(clean, denoise(part_way, middle), 1 / (2 * r))
            x = _ancestral(path, x, ahead, noise, (sigma, lower), eta, s_noise)
        else:
            x = clean
        yield Step(x, clean, lower)


def _ancestral(
    path: Path, x: Tensor, clean: Tensor, noise: NoiseSource, step: tuple[float, float], eta: float, s_noise: float
) -> Tensor:
    """Return x after an ancestral step of x / alpha, whose noise level is sigma / alpha."""
    sigma, lower = step
    start, alpha = sigma / path.alpha(sigma), path.alpha(lower)
    down, up = ancestral_levels(start, lower / alpha, eta)
    x = torch.add(x * (down * alpha / sigma), clean, alpha=alpha * (1 - down / start))
    return noised(x, noise, sigma, lower, alpha * up * s_noise)


def dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Draw with a clean sample extrapolated to the middle of the step (Lu et al. 2022, SDE-DPM-Solver++(2M))."""
    before: Tensor | None = None
    width_before = 0.0
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            width = path.log_snr(lower) - path.log_snr(sigma)
            ahead = clean if before is None else torch.lerp(before, clean, 1 + width / (2 * width_before))
            x = reverse_step(path, x, ahead, sigma, lower, eta)
            x = noised(x, noise, sigma, lower, s_noise * reverse_spread(path, sigma, lower, eta))
            width_before = width
        else:
            x = clean
        before = clean
        yield Step(x, clean, lower)


def dpmpp_2m_sde_heun(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Draw with a clean sample taken as linear in log-SNR over the last step and this one."""
    return _polynomial_sde(denoise, x, sigmas, noise, path, eta, s_noise, order=2)


def dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Draw with a clean sample taken as quadratic in log-SNR over the last two steps and this one."""
    return _polynomial_sde(denoise, x, sigmas, noise, path, eta, s_noise, order=3)


def _polynomial_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    noise: NoiseSource,
    path: Path,
    eta: float,
    s_noise: float,
    order: int,
) -> Iterator[Step]:
    """Integrate the reverse SDE exactly for a clean sample that is a polynomial of degree `order` - 1 in log-SNR."""
    history: list[tuple[Tensor, float]] = []  # clean samples, newest first, and the widths of the steps they began
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            width = path.log_snr(lower) - path.log_snr(sigma)
            x = reverse_step(path, x, clean, sigma, lower, eta)
            x = noised(x, noise, sigma, lower, s_noise * reverse_spread(path, sigma, lower, eta))
            if history:
                x = torch.add(x, _drift(clean, width, eta, history), alpha=path.alpha(lower))
            history = [(clean, width), *history][: order - 1]
        else:
            x = clean
        yield Step(x, clean, lower)


def _drift(clean: Tensor, width: float, eta: float, history: list[tuple[Tensor, float]]) -> Tensor:
    """Return what the slope, and with two former samples the curvature, of the clean sample adds to a step."""
    scaled = (1 + eta) * width  # at eta 1 the SDE's drift is twice the ODE's
    second = math.expm1(-scaled) / scaled + 1
    (last, last_width), *older = history
    slope = (clean - last) * (width / last_width)
    if not older:
        return slope * second
    before, before_width = older[0]
    older_slope = (last - before) * (width / before_width)
    near, far = last_width / width, before_width / width
    bend = (slope - older_slope) / (near + far)
    return (slope + bend * near) * second - bend * (second / scaled - 0.5)
