"""Exponential integrators in log-SNR: exact for the linear part, with stages inside a step or steps that came before.

`eta` is the share of the noise that the forward process would have added, `s_noise` a factor on it.
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
from nodegraph.diffusion.sampling.sde import finite_levels
from nodegraph.diffusion.sampling.stochastic import ancestral_levels, noised, reverse_spread, reverse_step


def second_moment(width: float) -> float:
    """Return how much of the change of the clean sample over a step of `width`, scaled, reaches the end: phi_2."""
    return math.expm1(-width) / width + 1


class _StepNoise:
    """The noise of one step, one draw a stage: what was added at a stage is still there, faded, at the next."""

    def __init__(self, noise: NoiseSource | None, path: Path, eta: float, s_noise: float, sigma: float) -> None:
        self._noise, self._path, self._eta, self._scale = noise, path, eta, s_noise
        self._sum: Tensor | float = 0.0
        self._from = sigma

    def add(self, x: Tensor, level: float, like: Tensor) -> Tensor:
        """Return x, the mean at `level`, with the noise since the step began."""
        if self._noise is None or not self._eta * self._scale:
            return x
        spread = reverse_spread(self._path, self._from, level, self._eta) / level
        fade = math.sqrt(max(1 - spread**2, 0.0))
        self._sum = self._sum * fade + self._noise(like, self._from, level) * spread
        self._from = level
        return torch.add(x, self._sum, alpha=level * self._scale)


def seeds_2(
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
    """Step with the clean sample seen at the share `r` of a step (Gonzalez et al. 2023, SEEDS-2)."""
    return _two_stages(denoise, x, sigmas, noise, path, eta, s_noise, r, linear=False)


def exp_heun_2_x0(denoise: Denoiser, x: Tensor, sigmas: Levels, *, path: Path = VARIANCE_EXPLODING) -> Iterator[Step]:
    """Take the clean sample as linear over each step, order 2 (exponential Heun method, without noise)."""
    return _two_stages(denoise, x, sigmas, None, path, 0.0, 0.0, 1.0, linear=True)


def exp_heun_2_x0_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Take the clean sample as linear over each step, and add noise (exponential Heun method)."""
    return _two_stages(denoise, x, sigmas, noise, path, eta, s_noise, 1.0, linear=True)


def _two_stages(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    noise: NoiseSource | None,
    path: Path,
    eta: float,
    s_noise: float,
    r: float,
    linear: bool,
) -> Iterator[Step]:
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            start, width = path.log_snr(sigma), path.log_snr(lower) - path.log_snr(sigma)
            middle = path.sigma(start + r * width) if r < 1 else lower
            drawn = _StepNoise(noise, path, eta, s_noise, sigma)
            part_way = drawn.add(reverse_step(path, x, clean, sigma, middle, eta), middle, x)
            change = denoise(part_way, middle) - clean
            scaled = (1 + eta) * width
            share = second_moment(scaled) / r if linear else -math.expm1(-scaled) / (2 * r)
            mean = torch.add(reverse_step(path, x, clean, sigma, lower, eta), change, alpha=path.alpha(lower) * share)
            x = drawn.add(mean, lower, x)
        else:
            x = clean
        yield Step(x, clean, lower)


def seeds_3(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
) -> Iterator[Step]:
    """Step with the clean samples seen at two shares of a step (Gonzalez et al. 2023, SEEDS-3)."""
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            start, width = path.log_snr(sigma), path.log_snr(lower) - path.log_snr(sigma)
            first, second = path.sigma(start + r_1 * width), path.sigma(start + r_2 * width)
            drawn = _StepNoise(noise, path, eta, s_noise, sigma)
            mean = reverse_step(path, x, clean, sigma, first, eta)
            change = denoise(drawn.add(mean, first, x), first) - clean
            share = path.alpha(second) * second_moment(r_2 * (1 + eta) * width) * r_2 / r_1
            mean = torch.add(reverse_step(path, x, clean, sigma, second, eta), change, alpha=share)
            change = denoise(drawn.add(mean, second, x), second) - clean
            share = path.alpha(lower) * second_moment((1 + eta) * width) / r_2
            mean = torch.add(reverse_step(path, x, clean, sigma, lower, eta), change, alpha=share)
            x = drawn.add(mean, lower, x)
        else:
            x = clean
        yield Step(x, clean, lower)


def res_multistep(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Take the clean sample as linear in log-SNR over the last step and this one, order 2 (Zhang et al. 2023, RES)."""
    return _res(denoise, None, x, sigmas, None, 0.0, 0.0)


def res_multistep_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Levels, *, noise: NoiseSource, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """Go down as `res_multistep` does, then add noise."""
    return _res(denoise, None, x, sigmas, noise, eta, s_noise)


def res_multistep_cfg_pp(denoise: Denoiser, x: Tensor, sigmas: Levels, *, both: PairDenoiser) -> Iterator[Step]:
    """Go as `res_multistep` does along the unconditional clean sample, from x moved by the guidance (CFG++)."""
    return _res(denoise, both, x, sigmas, None, 0.0, 0.0)


def res_multistep_ancestral_cfg_pp(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    both: PairDenoiser,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Go down as `res_multistep_cfg_pp` does, then add noise."""
    return _res(denoise, both, x, sigmas, noise, eta, s_noise)


def _res(
    denoise: Denoiser,
    both: PairDenoiser | None,
    x: Tensor,
    sigmas: Levels,
    noise: NoiseSource | None,
    eta: float,
    s_noise: float,
) -> Iterator[Step]:
    """Step along the clean sample, or with `both` along the unconditional one, linear through the last step's."""
    last: tuple[Tensor, float] | None = None  # the sample followed, and the width of the step that it began
    for sigma, lower in pairwise(levels(sigmas)):
        clean, followed = both(x, sigma) if both is not None else (denoise(x, sigma),) * 2
        down, up = ancestral_levels(sigma, lower, eta)
        if down <= 0:
            x = clean
        elif last is None:
            x, last = torch.add(clean, x - followed, alpha=down / sigma), (followed, math.log(sigma / down))
        else:
            width, (before, width_before) = math.log(sigma / down), last
            x = torch.lerp(followed, x if both is None else x + (clean - followed), down / sigma)
            x = torch.add(x, followed - before, alpha=second_moment(width) * width / width_before)
            last = followed, width
        x = noised(x, noise, sigma, lower, up * s_noise)
        yield Step(x, clean, lower)
