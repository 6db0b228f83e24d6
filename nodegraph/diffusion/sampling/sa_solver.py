"""SA-Solver: stochastic Adams method, a predictor and a corrector with noise in a part of the run (Xue et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, NoiseSource, Path, Step, Table
from nodegraph.diffusion.sampling.quadrature import lagrange_weights
from nodegraph.diffusion.sampling.samplers import Levels
from nodegraph.diffusion.sampling.sde import finite_levels
from nodegraph.diffusion.sampling.stochastic import reverse_spread

NOISY = 0.2, 0.8
"""The shares of sampling between which noise is added as a rule."""


@dataclass(frozen=True)
class _Options:
    """How a run is done; `eta` is the noise ("tau") at levels from `highest` to `lowest`."""

    predictor_order: int
    corrector_order: int
    pece: bool
    simple_order_2: bool
    eta: float
    s_noise: float
    highest: float
    lowest: float

    def tau(self, sigma: float) -> float:
        """Return how much noise a step to `sigma` has."""
        return self.eta if self.lowest <= sigma <= self.highest else 0.0


def sa_solver(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    table: Table,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
    interval: tuple[float, float] | None = None,
    predictor_order: int = 3,
    corrector_order: int = 4,
    use_pece: bool = False,
    simple_order_2: bool = False,
) -> Iterator[Step]:
    """Predict each level from the last clean samples, then correct it with the one seen there.

    Noise is added only at levels of the interval, high and low; as a rule those of 20 % to 80 % of sampling. With
    `use_pece` the model is asked again after the correction.
    """
    highest, lowest = interval or (table.percent_to_sigma(share) for share in NOISY)
    options = _Options(predictor_order, corrector_order, use_pece, simple_order_2, eta, s_noise, highest, lowest)
    return _run(denoise, x, finite_levels(path, sigmas), noise, path, options)


def sa_solver_pece(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    table: Table,
    path: Path = VARIANCE_EXPLODING,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Predict, evaluate, correct and evaluate again: `sa_solver` with two calls of the model a step."""
    return sa_solver(denoise, x, sigmas, noise=noise, table=table, path=path, eta=eta, s_noise=s_noise, use_pece=True)


@dataclass
class _State:
    """A run between two steps: what was left at the last level, how, and the clean samples since, newest first."""

    x: Tensor
    tau: float = 0.0
    drawn: Tensor | None = None
    samples: list[Tensor] = field(default_factory=list)


def _run(
    denoise: Denoiser, x: Tensor, visited: list[float], noise: NoiseSource, path: Path, options: _Options
) -> Iterator[Step]:
    state = _State(x)
    most = max(options.predictor_order, options.corrector_order)
    for index, (sigma, lower) in enumerate(pairwise(visited)):
        clean = denoise(x, sigma)
        state.samples = [clean, *state.samples][:most]
        order = _corrector_order(options, index, visited, len(state.samples))
        if order:
            x = _adams(path, state, visited[: index + 1], order, options, corrects=True)
            if options.pece:
                clean = state.samples[0] = denoise(x, sigma)
        state.x = x
        if lower > 0:
            order = _bounded(options.predictor_order, len(state.samples), len(visited) - 2 - index, visited)
            state.tau, state.drawn = options.tau(lower), None
            spread = reverse_spread(path, sigma, lower, state.tau**2) * options.s_noise
            if spread:
                state.drawn = noise(x, sigma, lower) * spread
            x = _adams(path, state, visited[: index + 2], order, options, corrects=False)
        else:
            x = clean
        yield Step(x, clean, lower)


def _corrector_order(options: _Options, index: int, visited: Sequence[float], known: int) -> int:
    if index == 0 or (visited[index + 1] == 0 and not options.pece):
        return 0
    return _bounded(options.corrector_order, known, len(visited) - 1 - index, visited)


def _bounded(order: int, known: int, left: int, visited: Sequence[float]) -> int:
    """Return the order that the known samples allow; near an end at 0 it falls, for stability."""
    return min(order, known, left) if visited[-1] == 0 else min(order, known)


def _adams(
    path: Path, state: _State, visited: Sequence[float], order: int, options: _Options, *, corrects: bool
) -> Tensor:
    """Return x at `visited[-1]` from the state at the level before, by the last `order` clean samples.

    A predictor's samples end at the level before, a corrector's at the new level itself.
    """
    sigma, lower = visited[-2:]
    last = len(visited) - (1 if corrects else 2)
    nodes = [path.log_snr(visited[last - back]) for back in range(order)]
    weights = _weights(nodes, path.log_snr(sigma), path.log_snr(lower), state.tau, options.simple_order_2, corrects)
    width = path.log_snr(lower) - path.log_snr(sigma)
    x = state.x * (lower / sigma * math.exp(-(state.tau**2) * width))
    for sample, weight in zip(state.samples, weights, strict=False):
        x = torch.add(x, sample, alpha=path.alpha(lower) * weight)
    return x if state.drawn is None else x + state.drawn


def _weights(nodes: Sequence[float], start: float, end: float, tau: float, simple: bool, corrects: bool) -> list[float]:
    """Return the weights of the samples at `nodes`, newest first: integrals of their polynomials as they fade."""
    rate, width = 1 + tau**2, end - start
    if simple and len(nodes) == 2:
        change = 0.5 * rate * width if corrects else 0.5 * rate * width**2 / (nodes[1] - start)
        whole = -math.expm1(-rate * width)
        return [change, whole - change] if corrects else [whole - change, change]
    return lagrange_weights(nodes, start, end, lambda at: rate * np.exp(-rate * (end - at)))
