"""UniPC: a multistep predictor and a corrector that share the model's calls (Zhao et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Denoiser, Step
from nodegraph.diffusion.sampling.samplers import Levels, levels

LAST_LEVEL = 0.001
"""Where a run to 0 ends, since 0 is infinitely far in log-SNR."""
MOST = 3
Scale = Callable[[float], float]


def uni_pc(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Predict and correct with orders up to 3, B(h) = h: the variant for few steps without guidance."""
    return _uni_pc(denoise, x, sigmas, lambda width: -width)


def uni_pc_bh2(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Predict and correct with orders up to 3, B(h) = exp(h) - 1: the variant for guided sampling."""
    return _uni_pc(denoise, x, sigmas, lambda width: math.expm1(-width))


def _uni_pc(denoise: Denoiser, x: Tensor, sigmas: Levels, scale: Scale) -> Iterator[Step]:
    visited = levels(sigmas)
    steps = len(visited) - 1
    last = visited[-1] or (LAST_LEVEL if steps > 1 else 0.0)
    ends = [_rounded(level, x.dtype) for level in (*visited[:-1], last)]
    most = max(min(MOST, steps - 1), 1)
    samples: list[Tensor] = []  # newest first, as are the levels they were seen at
    clean = denoise(x, visited[0]) if steps else x
    for index, (sigma, lower) in enumerate(pairwise(ends)):
        samples = [clean, *samples][:most]
        if lower == 0:
            x = clean
        else:
            order, width = min(most, index + 1, steps - index), math.log(sigma / lower)
            distances = [math.log(sigma / level) / width for level in ends[index::-1][1:order]]
            slopes = [(sample - clean) / far for sample, far in zip(samples[1:order], distances, strict=True)]
            factor = scale(width)
            predictor, corrector = _weights(distances, width, factor)
            base, here = torch.lerp(clean, x, lower / sigma), clean
            x = _along(base, slopes, predictor, factor)
            if index < steps - 1:  # the last step has no clean sample to correct it by
                clean = denoise(x, visited[index + 1])
                x = _along(base, [*slopes, clean - here], corrector, factor)
        yield Step(x, clean, visited[index + 1])


def _rounded(level: float, dtype: torch.dtype) -> float:
    """Return the level as the quotient of noise and signal of a variance-preserving process in the given precision.

    Small levels lose digits there: the reference code works that way, and the last level shifts the picture.
    """
    log_alpha = 0.5 * torch.log(1 / (torch.tensor(level, dtype=dtype) ** 2 + 1))
    return float(torch.sqrt(1 - torch.exp(2 * log_alpha)) / torch.exp(log_alpha)) or level  # all digits may be lost


def _along(x: Tensor, slopes: Sequence[Tensor], weights: Sequence[float], factor: float) -> Tensor:
    for slope, weight in zip(slopes, weights, strict=True):
        x = torch.add(x, slope, alpha=-factor * weight)
    return x


def _weights(distances: Sequence[float], width: float, factor: float) -> tuple[list[float], list[float]]:
    """Return the predictor's and the corrector's weights of the slopes, such that the step is exact for polynomials.

    `distances` are those of the former levels in units of the step; the corrector's further level is at 1. Of order 2
    the predictor, and of order 1 the corrector, have the weight 1/2 whatever the step.
    """
    order = len(distances) + 1
    moments, moment, factorial = [], math.expm1(-width) / -width - 1, 1
    for power in range(1, order + 1):
        moments.append(moment * factorial / factor)
        factorial *= power + 1
        moment = moment / -width - 1 / factorial
    powers = np.vander([*distances, 1.0], order, increasing=True).T
    corrector = [0.5] if order == 1 else np.linalg.solve(powers, moments).tolist()
    if order < 3:
        return [0.5] * (order - 1), corrector
    return np.linalg.solve(powers[:-1, :-1], moments[:-1]).tolist(), corrector
