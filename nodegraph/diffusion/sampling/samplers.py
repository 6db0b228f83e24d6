"""Deterministic samplers: each follows the probability-flow ODE dx/dsigma = (x - clean) / sigma to the last level.

A sampler is a generator of steps; progress, preview and cancelling are the caller's loop. For a constant clean sample
the ODE's solution is a straight line, `lerp(clean, x, lower / sigma)`; the samplers differ in what they put for clean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Denoiser, Step

Levels = Sequence[float] | Tensor


def levels(sigmas: Levels) -> list[float]:
    """Return the noise levels as numbers, so that a step asks nothing of the device."""
    return [float(sigma) for sigma in (sigmas.tolist() if isinstance(sigmas, Tensor) else sigmas)]


def euler(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Follow the ODE by Euler steps, order 1 (Karras et al. 2022); the same as DDIM (Song et al. 2021)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        x = torch.lerp(clean, x, lower / sigma)
        yield Step(x, clean, lower)


def heun(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Average the slopes at both ends of a step, order 2 (Karras et al. 2022, algorithm 1)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        ahead = torch.lerp(clean, x, lower / sigma)
        if lower > 0:
            slopes = (x - clean) / sigma + (ahead - denoise(ahead, lower)) / lower
            ahead = torch.add(x, slopes, alpha=(lower - sigma) / 2)
        x = ahead
        yield Step(x, clean, lower)


def heunpp2(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Average the slopes here and at the next two levels, each weighed by its share of the largest level, order 1."""
    visited = levels(sigmas)
    for index, (sigma, lower) in enumerate(pairwise(visited)):
        clean = denoise(x, sigma)
        ahead, slope = torch.lerp(clean, x, lower / sigma), (x - clean) / sigma
        rest = visited[index + 1 : index + 3]
        if lower > 0 and len(rest) == 2:
            total = visited[0] * (3 if rest[1] > 0 else 2)
            second = (ahead - denoise(ahead, lower)) / lower
            mean = torch.lerp(slope, second, lower / total)
            if rest[1] > 0:
                further = torch.add(ahead, second, alpha=rest[1] - lower)
                third = (further - denoise(further, rest[1])) / rest[1]
                mean = torch.add(mean, third - slope, alpha=rest[1] / total)
            ahead = torch.add(x, mean, alpha=lower - sigma)
        x = ahead
        yield Step(x, clean, lower)


def dpm_2(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Take the slope at the geometric middle of a step, order 2 (Lu et al. 2022, DPM-Solver-2)."""
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            middle = math.sqrt(sigma * lower)
            half_way = torch.lerp(clean, x, middle / sigma)
            slope = (half_way - denoise(half_way, middle)) / middle
            x = torch.add(x, slope, alpha=lower - sigma)
        else:
            x = clean
        yield Step(x, clean, lower)


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Extrapolate the clean sample from the last two, order 2 (Lu et al. 2022, DPM-Solver++(2M), algorithm 2)."""
    before: Tensor | None = None
    width_before = 0.0
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        ahead = clean
        if lower > 0:
            width = math.log(sigma / lower)
            if before is not None:
                ahead = torch.lerp(before, clean, 1 + width / (2 * width_before))
            width_before = width
        x = torch.lerp(ahead, x, lower / sigma)
        before = clean
        yield Step(x, clean, lower)
