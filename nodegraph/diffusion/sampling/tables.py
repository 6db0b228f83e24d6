"""The noise levels that models were trained at: beta schedules, flow and EDM tables.

Tables work in float32 and step by step like the networks' own reference code: a level half-way between two training
steps is rounded to one of them, and a last bit decides which.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Table
from nodegraph.diffusion.values import DiffusionSchedule, EdmSchedule, FlowSchedule

BEYOND_ALL_NOISE = 999999999.9
"""Where sampling starts, for ranges: above every level, so that a range from 0 misses none."""
LAST_ALPHA_PRODUCT = 4.8973451890853435e-08
"""What stands for zero signal after the rescaling: the level must stay finite."""


def betas(schedule: DiffusionSchedule) -> Tensor:
    """Return the variances (T,) added at each training step, float64, without the zero-terminal-SNR rescaling."""
    start, end, steps = schedule.beta_start, schedule.beta_end, schedule.steps
    match schedule.betas:
        case "linear":
            return torch.linspace(start, end, steps, dtype=torch.float64)
        case "scaled_linear":
            return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
        case "squaredcos_cap_v2":  # Nichol and Dhariwal 2021, equation 17
            t = torch.arange(steps + 1, dtype=torch.float64) / steps
            signal = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
            return (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
    raise ValueError(f"unknown beta schedule {schedule.betas!r}: expected scaled_linear, linear or squaredcos_cap_v2")


def alphas_cumprod(schedule: DiffusionSchedule) -> Tensor:
    """Return the share of the signal's variance (T,) left after each training step, float64."""
    product = torch.cumprod(1 - betas(schedule), dim=0)
    if not schedule.zero_terminal_snr:
        return product
    root = product.sqrt()  # Lin et al. 2023, algorithm 1
    rescaled = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    rescaled[-1] = LAST_ALPHA_PRODUCT
    return rescaled


class DiffusionTable:
    """The levels of a discrete diffusion; a network knows them by the number of the training step."""

    def __init__(self, schedule: DiffusionSchedule) -> None:
        product = alphas_cumprod(schedule)
        sigmas = ((1 - product) / product).sqrt().flip(0)[:: schedule.stride].flip(0)
        self._stride, self._last = schedule.stride, schedule.steps - 1
        self._first = self._last - (len(sigmas) - 1) * self._stride  # the first step that the network knows
        self.sigmas = sigmas.float()
        self._logs = sigmas.log().float()
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    def sigma(self, timestep: float | Tensor) -> Tensor:
        """Return the level at a training step, interpolated in the logarithm between two."""
        t = (torch.as_tensor(timestep, dtype=torch.float32) - self._first) / self._stride
        t = t.clamp(0, len(self.sigmas) - 1)
        share, below, above = t.frac(), t.floor().long(), t.ceil().long()
        return ((1 - share) * self._logs[below] + share * self._logs[above]).exp()

    def timestep(self, sigma: float | Tensor) -> Tensor:
        """Return the number of the training step with the nearest logarithm, as float32."""
        logs = torch.as_tensor(sigma, dtype=torch.float32).log()
        nearest = (logs[..., None] - self._logs.to(logs.device)).abs().argmin(dim=-1)
        return (nearest * self._stride + self._first).float()

    def percent_to_sigma(self, percent: float) -> float:
        """Return the level at a share of sampling done; beyond all levels at 0, none at 1."""
        if percent <= 0:
            return BEYOND_ALL_NOISE
        return 0.0 if percent >= 1 else float(self.sigma((1 - percent) * self._last))


class FlowTable:
    """The levels of a rectified flow, shifted towards noise for large pictures (Esser et al. 2024, equation 23)."""

    def __init__(self, schedule: FlowSchedule) -> None:
        self._shift = schedule.shift
        self._multiplier = schedule.multiplier
        self.sigmas = self._shifted(torch.arange(1, schedule.steps + 1) / schedule.steps)
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    def _shifted(self, t: Tensor) -> Tensor:
        return self._shift * t / (1 + (self._shift - 1) * t)

    def sigma(self, timestep: float | Tensor) -> Tensor:
        """Return the level at an unshifted time value."""
        return self._shifted(torch.as_tensor(timestep / self._multiplier, dtype=torch.float32))

    def timestep(self, sigma: float | Tensor) -> Tensor:
        """Return the level times the network's multiplier."""
        return torch.as_tensor(sigma, dtype=torch.float32) * self._multiplier

    def percent_to_sigma(self, percent: float) -> float:
        """Return the level at a share of sampling done: 1 at its start, 0 at its end."""
        if percent <= 0:
            return 1.0
        return 0.0 if percent >= 1 else float(self.sigma((1 - percent) * self._multiplier))


class EdmTable:
    """Continuous levels; a network knows them by a quarter of their logarithm (Karras et al. 2022), or by an angle."""

    def __init__(self, schedule: EdmSchedule) -> None:
        self._ends = math.log(schedule.sigma_min), math.log(schedule.sigma_max)
        self._angular = schedule.time == "angle"
        self.sigmas = torch.linspace(*self._ends, schedule.steps).exp()
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    def sigma(self, timestep: float | Tensor) -> Tensor:
        """Return exp(4 * timestep), or the tangens of so many right angles."""
        t = torch.as_tensor(timestep, dtype=torch.float32)
        return (t * (math.pi / 2)).tan() if self._angular else (4 * t).exp()

    def timestep(self, sigma: float | Tensor) -> Tensor:
        """Return ln(sigma) / 4, or the arcus tangens in right angles."""
        levels = torch.as_tensor(sigma, dtype=torch.float32)
        return levels.atan() / (math.pi / 2) if self._angular else 0.25 * levels.log()

    def percent_to_sigma(self, percent: float) -> float:
        """Return the level at a share of sampling done, even in the logarithm."""
        if percent <= 0:
            return BEYOND_ALL_NOISE
        low, high = self._ends
        return 0.0 if percent >= 1 else math.exp(low + (high - low) * (1 - percent))


@lru_cache(maxsize=16)
def table_of(schedule: DiffusionSchedule | FlowSchedule | EdmSchedule) -> Table:
    """Return the table of a schedule."""
    match schedule:
        case DiffusionSchedule():
            return DiffusionTable(schedule)
        case FlowSchedule():
            return FlowTable(schedule)
        case EdmSchedule():
            return EdmTable(schedule)
