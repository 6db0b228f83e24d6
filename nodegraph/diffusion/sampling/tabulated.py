"""Noise levels that were found by optimisation, for given models and numbers of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

ModelType = Literal["SD1", "SDXL", "SVD"]
ALIGN_YOUR_STEPS: Final[Mapping[str, Sequence[float]]] = MappingProxyType({
    "SD1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.694615152, 1.8841921177, 1.3943805092, 0.9642583904,
        0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "SDXL": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289,
        0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
})  # fmt: skip
"""Levels for ten steps (Sabour et al. 2024, Align Your Steps)."""

GITS_FIRST, GITS_LAST = 14.61464119, 0.02916753
GITS_COEFFICIENT = 1.2
GITS: Final[Sequence[Sequence[float]]] = (
    (0.803307,),
    (1.56272, 0.524236),
    (2.36326, 0.921923, 0.36617),
    (2.84485, 1.24153, 0.595163, 0.250534),
    (5.8552, 2.05039, 0.953509, 0.455737, 0.170261),
    (5.8552, 2.4507, 1.24153, 0.644271, 0.298078, 0.0982453),
    (5.8552, 2.4507, 1.36964, 0.803307, 0.455737, 0.250534, 0.0982453),
    (5.8552, 2.84485, 1.61558, 0.953509, 0.595163, 0.36617, 0.198949, 0.0982453),
    (5.8552, 2.84485, 1.6705, 1.08895, 0.74807, 0.501184, 0.321048, 0.198949, 0.0982453),
    (5.8552, 2.95596, 1.84881, 1.24153, 0.831885, 0.595163, 0.410874, 0.274643, 0.170261, 0.0982453),
    (5.8552, 3.07278, 1.98035, 1.36964, 0.953509, 0.695151, 0.501184, 0.36617, 0.250534, 0.170261, 0.0982453),
    (
        6.77309, 3.46139, 2.36326, 1.56272, 1.08895, 0.803307, 0.595163, 0.455737, 0.343706, 0.250534, 0.170261,
        0.0982453,
    ),
    (
        6.77309, 3.46139, 2.4507, 1.61558, 1.16287, 0.861154, 0.644271, 0.501184, 0.388534, 0.298078, 0.225454,
        0.170261, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.12351, 1.51179, 1.08895, 0.831885, 0.644271, 0.501184, 0.388534, 0.298078,
        0.225454, 0.170261, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.12351, 1.51179, 1.08895, 0.831885, 0.644271, 0.501184, 0.410874, 0.321048,
        0.250534, 0.198949, 0.137921, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.12351, 1.51179, 1.08895, 0.831885, 0.644271, 0.501184, 0.410874, 0.343706,
        0.274643, 0.225454, 0.170261, 0.137921, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.19989, 1.61558, 1.20157, 0.921923, 0.721339, 0.57119, 0.455737, 0.36617,
        0.298078, 0.250534, 0.198949, 0.170261, 0.137921, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.19989, 1.61558, 1.24153, 0.953509, 0.74807, 0.595163, 0.478365, 0.388534,
        0.321048, 0.274643, 0.225454, 0.198949, 0.170261, 0.137921, 0.0982453,
    ),
    (
        7.49002, 4.65473, 3.07278, 2.19989, 1.61558, 1.24153, 0.953509, 0.74807, 0.595163, 0.501184, 0.410874,
        0.343706, 0.298078, 0.250534, 0.225454, 0.198949, 0.170261, 0.137921, 0.0982453,
    ),
)  # fmt: skip
"""What stands between the first and the last level of 2, 3, ... 20 steps (Chen et al. 2024, GITS)."""


def align_your_steps(model_type: ModelType, steps: int, denoise: float = 1.0) -> list[float]:
    """Return the levels that Align Your Steps found for a kind of model, of the last `denoise` of them."""
    return _end_of(_resampled(ALIGN_YOUR_STEPS[model_type], steps), steps, denoise)


def gits(steps: int, denoise: float = 1.0, coeff: float = GITS_COEFFICIENT) -> list[float]:
    """Return the levels that GITS found for a number of steps, of the last `denoise` of them."""
    if steps < 2:
        raise ValueError(f"steps: got {steps}, expected 2 or more")
    if round(coeff, 2) != GITS_COEFFICIENT:
        raise ValueError(f"coeff: got {coeff:g}; there are levels for the coefficient {GITS_COEFFICIENT} alone")
    row = GITS[min(steps - 2, len(GITS) - 1)]
    return _end_of(_resampled((GITS_FIRST, *row, GITS_LAST), steps), steps, denoise)


def _resampled(levels: Sequence[float], steps: int) -> list[float]:
    """Return `steps` + 1 levels, between those given even in the logarithm."""
    if len(levels) == steps + 1:
        return list(levels)
    places = np.linspace(0, 1, steps + 1)
    return [float(level) for level in np.exp(np.interp(places, np.linspace(0, 1, len(levels)), np.log(levels)))]


def _end_of(levels: list[float], steps: int, denoise: float) -> list[float]:
    """Return the levels of the last `denoise` of the steps, the last of them 0."""
    if denoise <= 0:
        return []
    kept = round(steps * denoise) if denoise < 1 else steps
    return [*levels[-(kept + 1) : -1], 0.0]
