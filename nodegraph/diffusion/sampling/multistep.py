"""Multistep samplers: each keeps the slopes (x - clean) / sigma of former steps and extrapolates them over the next.

They call the model once a step. The first steps, with nothing to look back on, are of a lower order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Denoiser, Step
from nodegraph.diffusion.sampling.quadrature import lagrange, lagrange_weights
from nodegraph.diffusion.sampling.samplers import Levels, levels

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the slopes for steps of one length, newest first, by order."""
DEIS_LEVELS = 0.002, 80.0
"""Noise levels at the ends of the variance-preserving process whose time DEIS interpolates in."""
DEIS_START = 1e-3
"""The time of the smallest of them; the largest is at 1."""
DEIS_POINTS = 10_000

Weights = Callable[[Sequence[float], float], Sequence[float]]
"""`(levels of the slopes, newest first, next level)` -> weights of the slopes in a step."""


def lms(denoise: Denoiser, x: Tensor, sigmas: Levels, *, order: int = 4) -> Iterator[Step]:
    """Integrate the polynomial through the last `order` slopes exactly (linear multistep, Adams and Bashforth 1883)."""
    return _adams(denoise, x, sigmas, order, lambda nodes, lower: lagrange_weights(nodes, nodes[0], lower))


def ipndm(denoise: Denoiser, x: Tensor, sigmas: Levels, *, max_order: int = 4) -> Iterator[Step]:
    """Weigh the slopes as if all steps were of one length, order 4 at most (Zhang and Chen 2022, iPNDM)."""

    def weights(nodes: Sequence[float], lower: float) -> list[float]:
        return [weight * (lower - nodes[0]) for weight in ADAMS_BASHFORTH[len(nodes) - 1]]

    return _adams(denoise, x, sigmas, max_order, weights)


def ipndm_v(denoise: Denoiser, x: Tensor, sigmas: Levels, *, max_order: int = 4) -> Iterator[Step]:
    """Weigh the slopes by the lengths of the steps, order 4 at most (Zhang and Chen 2022, iPNDM)."""
    return _adams(denoise, x, sigmas, max_order, ipndm_v_weights)


def ipndm_v_weights(nodes: Sequence[float], lower: float) -> list[float]:
    """Return the weights of the slopes, newest first: those of order 2, and what orders 3 and 4 change in them.

    They follow the method's reference code to the letter. Its changes are not quite those that would make each order
    exact for uneven steps, but they give the pictures that every program gives.
    """
    h, former = lower - nodes[0], [after - before for after, before in pairwise(nodes)]
    weights = np.zeros(4)
    weights[0] = 1.0
    if former:
        weights[:2] += np.array([0.5, -0.5]) * h / former[0]
    if len(former) > 1:
        h_1, h_2 = former[:2]
        share = (1 - h**2 / (3 * h_1 * (h_1 + h_2))) / 2
        weights[:3] += share * np.array([1.0, -1 - h_1 / h_2, h_1 / h_2])
    if len(former) > 2:
        h_1, h_2, h_3 = former
        share = (1 - h / (3 * (h + h_1))) / 2 + (1 - h / (2 * (h + h_1))) * h / (6 * (h + h_1 + h_2))
        share *= h * (h + h_1) * (h + h_1 + h_2) / (h_1 * (h_1 + h_2) * (h_1 + h_2 + h_3))
        near, far = h_1 / h_2, h_1 * (h_1 + h_2) / (h_2 * (h_2 + h_3))
        weights += share * np.array([1.0, -1 - near - far, near + far * (1 + h_2 / h_3), -far * near])
    return [float(weight) * h for weight in weights[: len(nodes)]]


def deis(denoise: Denoiser, x: Tensor, sigmas: Levels, *, max_order: int = 3) -> Iterator[Step]:
    """Extrapolate the slopes as polynomials of a variance-preserving process's time (Zhang and Chen 2022, tAB-DEIS)."""
    return _adams(denoise, x, sigmas, max_order, deis_weights)


def _adams(denoise: Denoiser, x: Tensor, sigmas: Levels, order: int, weigh: Weights) -> Iterator[Step]:
    """Add the weighted slopes of the last `order` steps; a step to 0 ends in the clean sample."""
    slopes: list[Tensor] = []
    nodes: list[float] = []
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        nodes, slopes = [sigma, *nodes][:order], [(x - clean) / sigma, *slopes][:order]
        if lower == 0:
            x = clean
        else:
            for slope, weight in zip(slopes, weigh(nodes, lower), strict=True):
                x = torch.add(x, slope, alpha=weight)
        yield Step(x, clean, lower)


def deis_weights(nodes: Sequence[float], lower: float) -> list[float]:
    """Return the integrals over [nodes[0], lower] of the polynomials in time that are 1 at one node, 0 at others."""
    if len(nodes) == 1:
        return [lower - nodes[0]]
    slope, offset = _deis_process()
    times = [_deis_time(node, slope, offset) for node in nodes]
    end = _deis_time(lower, slope, offset)
    t = np.linspace(times[0], end, DEIS_POINTS)
    log_alpha = -0.5 * t**2 * slope - t * offset
    rate = 0.5 * (t * slope + offset) / np.sqrt(np.exp(log_alpha) * -np.expm1(log_alpha))  # d sigma / dt
    width = (end - times[0]) / DEIS_POINTS
    return [float((rate * lagrange(times, j, t)).sum() * width) for j in range(len(nodes))]


def _deis_process() -> tuple[float, float]:
    """Return how fast, and from where, the noise of the variance-preserving process rises."""
    low, high = (math.log(level**2 + 1) for level in DEIS_LEVELS)
    slope = 2 * (low / DEIS_START - high) / (DEIS_START - 1)
    return slope, high - 0.5 * slope


def _deis_time(sigma: float, slope: float, offset: float) -> float:
    return (math.sqrt(offset**2 + 2 * slope * math.log(sigma**2 + 1)) - offset) / slope


def gradient_estimation(denoise: Denoiser, x: Tensor, sigmas: Levels, *, ge_gamma: float = 2.0) -> Iterator[Step]:
    """Take Euler steps along a slope that runs ahead of its own change (Permenter and Yuan 2024)."""
    before: Tensor | None = None
    for sigma, lower in pairwise(levels(sigmas)):
        clean = denoise(x, sigma)
        slope = (x - clean) / sigma
        if lower > 0:
            ahead = slope if before is None else torch.lerp(before, slope, ge_gamma)
            x = torch.add(x, ahead, alpha=lower - sigma)
        else:
            x = clean
        before = slope
        yield Step(x, clean, lower)
