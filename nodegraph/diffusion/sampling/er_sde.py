"""Extended reverse-time SDE solvers (Cui et al. 2023): how much noise is added is a function of the noise level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, NoiseSource, Path, Step
from nodegraph.diffusion.sampling.samplers import Levels
from nodegraph.diffusion.sampling.sde import finite_levels
from nodegraph.diffusion.sampling.stochastic import noised

POINTS = 200
"""Points of the sums that stand for the solver's integrals."""
Scale = Callable[[float], float]
SolverType = Literal["ER-SDE", "Reverse-time SDE", "ODE"]


def noise_scale(solver_type: SolverType, eta: float) -> Scale:
    """Return phi, by which x keeps the share phi(lower) / phi(level) in a step: the slower it falls, the less noise."""
    if solver_type == "ER-SDE":
        return lambda level: level * (math.exp(level**0.3) + 10.0)
    power = 1.0 if solver_type == "ODE" else 1.0 + eta
    return lambda level: level**power


def er_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    path: Path = VARIANCE_EXPLODING,
    solver_type: SolverType = "ER-SDE",
    max_stage: int = 3,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Step with the clean sample as a polynomial of degree `max_stage` - 1 through the last ones; noise by the type.

    `eta` scales the noise of the type "Reverse-time SDE" alone.
    """
    phi = noise_scale(solver_type, eta)
    history: list[tuple[float, Tensor, Tensor | None]] = []  # newest first: level / alpha, clean sample, its slope
    for sigma, lower in pairwise(finite_levels(path, sigmas)):
        clean = denoise(x, sigma)
        if lower > 0:
            alpha, level = path.alpha(lower), sigma / path.alpha(sigma)
            end = lower / alpha
            keep = phi(end) / phi(level)
            x = torch.add(x * (alpha / path.alpha(sigma) * keep), clean, alpha=alpha * (1 - keep))
            first, second = _moments(phi, level, end)
            slope = None
            if history and max_stage > 1:
                slope = (clean - history[0][1]) / (level - history[0][0])
                x = torch.add(x, slope, alpha=alpha * first)
            if slope is not None and len(history) > 1 and history[0][2] is not None and max_stage > 2:
                bend = (slope - history[0][2]) / ((level - history[1][0]) / 2)
                x = torch.add(x, bend, alpha=alpha * second)
            spread = math.sqrt(max(end**2 - (level * keep) ** 2, 0.0)) if solver_type != "ODE" else 0.0
            x = noised(x, noise, sigma, lower, alpha * spread * s_noise)
            history = [(level, clean, slope), *history][:2]
        else:
            x = clean
        yield Step(x, clean, lower)


def _moments(phi: Scale, level: float, end: float) -> tuple[float, float]:
    """Return what a slope, and a curvature, of the clean sample over the noise level add to a step."""
    step = (level - end) / POINTS
    points = end + np.arange(POINTS) * step
    weights = phi(end) * step / np.array([phi(float(point)) for point in points])
    change = end - level
    return change + float(weights.sum()), change**2 / 2 + float((weights * (points - level)).sum())
