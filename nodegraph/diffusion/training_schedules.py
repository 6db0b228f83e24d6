"""The noise levels that models were trained at, as values; imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MOST_TRAINING_STEPS = 100_000
"""Far more than any network was trained at, so that a wrong file's table does not fill the memory."""


@dataclass(frozen=True)
class DiffusionSchedule:
    """The discrete noise levels a diffusion network was trained at (Ho et al. 2020)."""

    betas: Literal["scaled_linear", "linear", "squaredcos_cap_v2"] = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    steps: int = 1000
    zero_terminal_snr: bool = False
    """Rescale so that the last step is all but pure noise (Lin et al. 2023)."""
    stride: int = 1
    """A distilled network knows each so many-th step alone, counted from the last."""

    def __post_init__(self) -> None:
        _check_steps(self, at_least=2 if self.zero_terminal_snr else 1)
        if not 1 <= self.stride <= self.steps:
            raise ValueError(f"{self}: expected a stride of 1 to {self.steps}")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError(f"{self}: expected 0 < beta_start <= beta_end < 1")


@dataclass(frozen=True)
class FlowSchedule:
    """Rectified flow from noise at 1 to data at 0; the network is told `sigma * multiplier`."""

    shift: float = 1.0
    steps: int = 1000
    multiplier: float = 1000.0

    def __post_init__(self) -> None:
        _check_steps(self)
        if not (0 < self.shift < math.inf and 0 < self.multiplier < math.inf):
            raise ValueError(f"{self}: expected a shift and a multiplier above 0")


@dataclass(frozen=True)
class EdmSchedule:
    """Continuous noise levels of Karras et al. (2022); the network is told `ln(sigma) / 4`, or an angle of it."""

    sigma_min: float = 0.002
    sigma_max: float = 120.0
    steps: int = 1000
    time: Literal["log", "angle"] = "log"
    """`angle`: the network is told `atan(sigma)` in right angles (Salimans and Ho 2022)."""

    def __post_init__(self) -> None:
        _check_steps(self)
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise ValueError(f"{self}: expected 0 < sigma_min < sigma_max")


def _check_steps(schedule: DiffusionSchedule | FlowSchedule | EdmSchedule, at_least: int = 1) -> None:
    if not at_least <= schedule.steps <= MOST_TRAINING_STEPS:
        raise ValueError(f"{schedule}: expected {at_least} to {MOST_TRAINING_STEPS} steps")
