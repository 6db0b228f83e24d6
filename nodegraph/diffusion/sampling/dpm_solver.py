"""DPM-Solver: single steps of order 1 to 3 in t = -ln sigma, of a given number or of a size that the error decides."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Denoiser, NoiseSource, Step
from nodegraph.diffusion.sampling.samplers import Levels, levels
from nodegraph.diffusion.sampling.stochastic import ancestral_levels, noised

NEAR_END = 1e-5
MOST_ATTEMPTS = 2_000
"""After so many attempts at steps something is wrong with the model or the tolerances."""


def dpm_fast(denoise: Denoiser, x: Tensor, sigmas: Levels) -> Iterator[Step]:
    """Go down in steps of order 3, as many as the number of levels pays for (Lu et al. 2022, DPM-Solver-fast).

    Of the levels only the first, the last above 0 and their number count; x is left at the last, not made clean.
    """
    high, low, calls = _ends(levels(sigmas))
    if high == low:
        yield from _clean(denoise, x, high)
        return
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    ratio = (low / high) ** (1 / count)
    for index, order in enumerate(orders):
        solver = Solver(denoise, x, high * ratio**index)
        lower = low if index == count - 1 else high * ratio ** (index + 1)
        x = (solver.first, solver.second, solver.third)[order - 1](lower)
        yield Step(x, solver.clean, lower)


def dpm_adaptive(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Levels,
    *,
    noise: NoiseSource,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Go down in steps as large as the error allows, which two orders' difference tells (Lu et al. 2022).

    Of the levels only the first and the last above 0 count. A step with too large an error is yielded with x as it was.
    """
    high, low, _ = _ends(levels(sigmas))
    if high == low:
        yield from _clean(denoise, x, high)
        return
    if high < low:
        raise ValueError(f"dpm_adaptive: got levels from {high} up to {low}, expected them to fall")
    sigma, before, solver = high, x, Solver(denoise, x, high)
    control = _StepSize(h_init, (pcoeff, icoeff, dcoeff), 1.5 if eta else order, accept_safety)
    for _ in range(MOST_ATTEMPTS):
        lower = max(low, sigma * math.exp(-control.width))
        down = max(ancestral_levels(sigma, lower, eta)[0], low) if eta else lower
        near, far = solver.pair(down, order)
        allowed = torch.clamp(rtol * torch.maximum(near.abs(), before.abs()), min=atol)
        accepted = control.accept(float(((near - far) / allowed).square().mean().sqrt()))
        clean = solver.clean
        if accepted:
            up = math.sqrt(max(lower**2 - down**2, 0.0))
            before, x, sigma = near, noised(far, noise, sigma, lower, up * s_noise), lower
        yield Step(x, clean, sigma)
        if math.log(sigma / low) < NEAR_END:
            return
        solver = Solver(denoise, x, sigma) if accepted else solver
    raise ValueError(f"dpm_adaptive: the error stayed too large in {MOST_ATTEMPTS} attempts; raise rtol and atol")


class Solver:
    """The steps of DPM-Solver from x at `sigma`; what the model says on the way is kept for the next order."""

    def __init__(self, denoise: Denoiser, x: Tensor, sigma: float) -> None:
        self._denoise, self._x, self._sigma = denoise, x, sigma
        self.clean = denoise(x, sigma)
        self._eps = (x - self.clean) / sigma
        self._ahead: dict[float, tuple[float, Tensor]] = {}

    def first(self, lower: float) -> Tensor:
        """Return x at `lower` by one call."""
        return torch.add(self._x, self._eps, alpha=lower - self._sigma)

    def second(self, lower: float, r: float = 0.5) -> Tensor:
        """Return x at `lower` by a further call at the share `r` of the step."""
        return torch.add(self.first(lower), self._change(lower, r), alpha=(lower - self._sigma) / (2 * r))

    def third(self, lower: float, r_1: float = 1 / 3, r_2: float = 2 / 3) -> Tensor:
        """Return x at `lower` by two further calls, at the shares `r_1` and `r_2` of the step."""
        width = math.log(self._sigma / lower)
        middle = self._sigma * math.exp(-r_2 * width)
        share = middle * r_2 / r_1 * (math.expm1(r_2 * width) / (r_2 * width) - 1)
        part_way = torch.add(self.first(middle), self._change(lower, r_1), alpha=-share)
        change = (part_way - self._denoise(part_way, middle)) / middle - self._eps
        return torch.add(self.first(lower), change, alpha=-lower / r_2 * (math.expm1(width) / width - 1))

    def pair(self, lower: float, order: int) -> tuple[Tensor, Tensor]:
        """Return x at `lower` by the order below, and by `order`, 2 or 3: their difference tells the error."""
        if order not in (2, 3):
            raise ValueError(f"order: got {order}, expected 2 or 3")
        if order == 2:
            return self.first(lower), self.second(lower)
        return self.second(lower, 1 / 3), self.third(lower)

    def _change(self, lower: float, r: float) -> Tensor:
        """Return how the slope changes from here to the share `r` of the step."""
        if r not in self._ahead or self._ahead[r][0] != lower:
            middle = self._sigma * (lower / self._sigma) ** r
            part_way = self.first(middle)
            self._ahead[r] = lower, (part_way - self._denoise(part_way, middle)) / middle - self._eps
        return self._ahead[r][1]


class _StepSize:
    """A controller of the step's width in ln sigma by the last three errors (Söderlind 2003)."""

    def __init__(self, width: float, coefficients: tuple[float, float, float], order: float, safety: float) -> None:
        proportional, integral, derivative = (each / order for each in coefficients)
        self.width, self._safety = width, safety
        self._powers = proportional + integral + derivative, -(proportional + 2 * derivative), derivative
        self._accepted: tuple[float, float] | None = None

    def accept(self, error: float) -> bool:
        """Tell whether a step with this error is good enough, and set the width of the next."""
        inverse = 1 / (error + 1e-8)
        last, before = self._accepted or (inverse, inverse)
        factor = inverse ** self._powers[0] * last ** self._powers[1] * before ** self._powers[2]
        factor = 1 + math.atan(factor - 1)
        self.width *= factor
        if factor >= self._safety:
            self._accepted = inverse, last
        elif self._accepted is None:
            self._accepted = inverse, inverse
        return factor >= self._safety


def _ends(visited: list[float]) -> tuple[float, float, int]:
    """Return the first level, the last above 0 and the number of steps."""
    low = visited[-1] if visited[-1] > 0 else visited[-2]
    return visited[0], low, len(visited) - 1


def _clean(denoise: Denoiser, x: Tensor, sigma: float) -> Iterator[Step]:
    """Yield the one step of a run from a level straight to 0."""
    clean = denoise(x, sigma)
    yield Step(clean, clean, 0.0)
