"""Schedulers: which noise levels sampling visits, `(table, steps) -> descending levels, 0 last`.

They compute in float32, so that the levels are those of other programs to the last digits.
"""

from __future__ import annotations

import math

import torch

from nodegraph.diffusion.sampling.contract import Table
from nodegraph.diffusion.sampling.quantile import beta_quantile

NEAR_ZERO = 1e-5
TURBO_STEPS = 10


def normal(table: Table, steps: int) -> list[float]:
    """Space time values evenly from the largest level to the smallest."""
    start, end = _time_range(table)
    if table.sigma(end) < NEAR_ZERO:
        return table.sigma(torch.linspace(start, end, steps + 1)).tolist()
    return [*table.sigma(torch.linspace(start, end, steps)).tolist(), 0.0]


def sgm_uniform(table: Table, steps: int) -> list[float]:
    """Space time values evenly, leaving the smallest level out."""
    return [*table.sigma(torch.linspace(*_time_range(table), steps + 1)[:-1]).tolist(), 0.0]


def simple(table: Table, steps: int) -> list[float]:
    """Take every n-th level of the table from its end."""
    stride = len(table.sigmas) / steps
    return [*(float(table.sigmas[-1 - int(i * stride)]) for i in range(steps)), 0.0]


def ddim_uniform(table: Table, steps: int) -> list[float]:
    """Take every n-th level of the table from its start (Song et al. 2021); it need not reach the largest."""
    stride = max(len(table.sigmas) // steps, 1)
    return [*table.sigmas[1::stride].flip(0).tolist(), 0.0]


def karras(table: Table, steps: int) -> list[float]:
    """Space the levels evenly after a power of 1/7 (Karras et al. 2022, equation 5)."""
    return karras_levels(steps, table.sigma_max, table.sigma_min)


def exponential(table: Table, steps: int) -> list[float]:
    """Space the logarithms of the levels evenly."""
    return polyexponential_levels(steps, table.sigma_max, table.sigma_min)


def beta(table: Table, steps: int, alpha: float = 0.6, beta: float = 0.6) -> list[float]:
    """Place time values at quantiles of a Beta distribution, dense at both ends (Lee et al. 2024)."""
    last = len(table.sigmas) - 1
    places = (round(beta_quantile(1 - i / steps, alpha, beta) * last) for i in range(steps))
    return [*(float(table.sigmas[place]) for place in dict.fromkeys(places)), 0.0]


def linear_quadratic(table: Table, steps: int, threshold: float = 0.025) -> list[float]:
    """Go linearly to `threshold` of the way in half the steps, then quadratically with a matching slope."""
    if steps == 1:
        return [table.sigma_max, 0.0]
    straight = steps // 2
    slope, curved = threshold / straight, steps - straight
    bend = (1.0 - threshold - slope * curved) / curved**2
    done = [slope * i + (bend * (i - straight) ** 2 if i > straight else 0.0) for i in range(steps)]
    return [*((1.0 - torch.tensor(done)) * table.sigma_max).tolist(), 0.0]


def kl_optimal(table: Table, steps: int) -> list[float]:
    """Space the arcus tangens of the levels evenly (Sabour et al. 2024, section 3.1)."""
    share = torch.linspace(0, 1, steps)
    levels = torch.tan(share * math.atan(table.sigma_min) + (1 - share) * math.atan(table.sigma_max))
    return [*levels.tolist(), 0.0]


def karras_levels(steps: int, sigma_max: float, sigma_min: float, rho: float = 7.0) -> list[float]:
    """Space the levels evenly after a power of 1 / rho (Karras et al. 2022, equation 5)."""
    _check_range(sigma_max, sigma_min)
    if rho <= 0:
        raise ValueError(f"rho: got {rho}, expected more than 0")
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    levels = (high + torch.linspace(0, 1, steps) * (low - high)) ** rho
    return [*levels.tolist(), 0.0]


def polyexponential_levels(steps: int, sigma_max: float, sigma_min: float, rho: float = 1.0) -> list[float]:
    """Space a power of the logarithms of the levels evenly; at `rho` 1 the logarithms themselves."""
    _check_range(sigma_max, sigma_min)
    if rho == 1:
        levels = torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp()
    else:
        ramp = torch.linspace(1, 0, steps) ** rho
        levels = torch.exp(ramp * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min))
    return [*levels.tolist(), 0.0]


def laplace_levels(steps: int, sigma_max: float, sigma_min: float, mu: float = 0.0, beta: float = 0.5) -> list[float]:
    """Place the logarithms of the levels at quantiles of a Laplace distribution (Hang et al. 2024), without a 0."""
    _check_range(sigma_max, sigma_min)
    x = torch.linspace(0, 1, steps)
    quantiles = mu - beta * torch.sign(0.5 - x) * torch.log(1 - 2 * (0.5 - x).abs() + NEAR_ZERO)
    return quantiles.exp().clamp(sigma_min, sigma_max).tolist()


def vp_levels(steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3) -> list[float]:
    """Space the times of a variance-preserving process evenly (Song et al. 2021)."""
    t = torch.linspace(1, eps_s, steps)
    return [*torch.sqrt(torch.exp(beta_d * t**2 / 2 + beta_min * t) - 1).tolist(), 0.0]


def turbo_levels(table: Table, steps: int, denoise: float = 1.0) -> list[float]:
    """Take of the ten steps that SD-Turbo knows `steps`, after leaving out the share that is not denoised."""
    start = TURBO_STEPS - int(TURBO_STEPS * denoise)
    times = torch.arange(TURBO_STEPS, 0, -1)[start : start + steps] * 100.0 - 1
    return [*table.sigma(times).tolist(), 0.0]


def _check_range(sigma_max: float, sigma_min: float) -> None:
    if min(sigma_max, sigma_min) <= 0:
        raise ValueError(f"sigma_max {sigma_max} and sigma_min {sigma_min}: expected both above 0")


def _time_range(table: Table) -> tuple[float, float]:
    return float(table.timestep(table.sigma_max)), float(table.timestep(table.sigma_min))
