"""What sampling is made of: denoisers, steps, noise sources, paths between data and noise, tables of noise levels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.regions import Box
from nodegraph.diffusion.values import Conditioning


class Denoiser(Protocol):
    """The clean sample that a network believes in: `(x (B, C, h, w), sigma (B,) or a number) -> (B, C, h, w)`."""

    def __call__(self, x: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Return the clean sample in x's precision."""
        ...


class PairDenoiser(Protocol):
    """A denoiser that returns the guided clean sample, and the one of the negative prompt alone."""

    def __call__(self, x: Tensor, sigma: float | Tensor, /) -> tuple[Tensor, Tensor]:
        """Return both clean samples in x's precision; the second is computed even at cfg 1."""
        ...


POSITIVE, NEGATIVE = "positive", "negative"
"""Names of the two sides of guidance."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What guidance knows at one level: the clean sample so far, and what led to it.

    `sides` holds the clean sample of each conditioning by name, of the negative one only where it was computed.
    `again(x, side, purpose="", **inputs)` asks the network anew for one side of another x, and gives it further
    inputs; what acts inside the network is told the purpose. `notes` are what that noted of this level's calls;
    `memory` is the rules' own, kept from level to level, for each under its type.
    """

    x: Tensor
    sigma: float | Tensor
    cfg: float
    clean: Tensor
    sides: Mapping[str, Tensor]
    again: Callable[..., Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)
    memory: MutableMapping[type, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What a call of the network is for: the largest level, and whose equal shares of the batch follow each other.

    A part is the name of a side and where in the sample it holds, None: everywhere. `numbers` tell the parts from all
    others of the run. `purpose` is empty but for what a rule asks again.
    """

    sigma: float = 0.0
    parts: tuple[tuple[str, Box | None], ...] = ()
    purpose: str = ""
    numbers: tuple[int, ...] = ()


class GuidanceRule(Protocol):
    """A frozen value that changes what guidance leads to; a model carries such rules."""

    @property
    def two_sided(self) -> bool:
        """Tell whether the negative conditioning is needed even at cfg 1."""
        ...

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return further conditionings to compute, by names other than those of the two sides."""
        ...

    def __call__(self, moment: Moment, /) -> Tensor:
        """Return the clean sample to go on with."""
        ...


class SidesRule(ABC):
    """A frozen value that changes the sides before they are put together; a model carries it among its rules.

    The sample so far is the positive side; the negative one may not be there.
    """

    two_sided: ClassVar[bool] = False

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return no further conditionings."""
        return {}

    @abstractmethod
    def sides(self, moment: Moment, /) -> Mapping[str, Tensor]:
        """Return those sides that are to be others."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step done: the sample `x` at noise level `sigma`, and the clean sample (B, C, h, w) last seen on the way."""

    x: Tensor
    clean: Tensor
    sigma: float


class NoiseSource(Protocol):
    """Standard normal noise for the step from `sigma` to `lower`, of x's shape, precision and device."""

    def __call__(self, x: Tensor, sigma: float, lower: float, /) -> Tensor:
        """Return the noise; x gives only its shape, precision and device."""
        ...


@dataclass(frozen=True)
class Path:
    """How data turns into noise: `alpha(sigma) * clean + sigma * noise`, here with alpha = 1 (variance exploding)."""

    def alpha(self, sigma: float) -> float:
        """Return the share of the clean sample at noise level `sigma`."""
        return 1.0

    def log_snr(self, sigma: float) -> float:
        """Return lambda = ln(alpha / sigma), half the logarithm of the signal-to-noise ratio."""
        return -math.log(sigma)

    def sigma(self, log_snr: float) -> float:
        """Return the noise level whose `log_snr` is given."""
        return math.exp(-log_snr)

    def finite(self, sigma: float) -> float:
        """Return the noise level to use in place of `sigma` where the log-SNR must be finite."""
        return sigma

    def middle(self, sigma: float, lower: float) -> float:
        """Return the noise level half-way between two in log-SNR."""
        return self.sigma((self.log_snr(sigma) + self.log_snr(lower)) / 2)

    def mix(self, clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Return the noisy sample at `sigma`."""
        return torch.add(clean, noise, alpha=sigma)


@dataclass(frozen=True)
class FlowPath(Path):
    """Rectified flow: alpha = 1 - sigma, from data at 0 to noise at 1."""

    largest: float = 0.9999
    """Stands in for sigma = 1, whose log-SNR is infinite."""

    def alpha(self, sigma: float) -> float:
        """Return 1 - sigma."""
        return 1.0 - sigma

    def log_snr(self, sigma: float) -> float:
        """Return ln((1 - sigma) / sigma)."""
        return math.log((1.0 - sigma) / sigma)

    def sigma(self, log_snr: float) -> float:
        """Return the logistic function of -log_snr."""
        return 1.0 / (1.0 + math.exp(log_snr))

    def finite(self, sigma: float) -> float:
        """Return `largest` for pure noise, else `sigma`."""
        return self.largest if sigma >= 1.0 else sigma

    def mix(self, clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Return the noisy sample at `sigma`."""
        return torch.lerp(clean, noise, sigma)


VARIANCE_EXPLODING = Path()


class Table(Protocol):
    """The noise levels of a model and the time values by which its network knows them."""

    @property
    def sigmas(self) -> Tensor:
        """The levels (N,), ascending, float32 on the CPU."""
        ...

    @property
    def sigma_min(self) -> float:
        """The smallest level."""
        ...

    @property
    def sigma_max(self) -> float:
        """The largest level."""
        ...

    def sigma(self, timestep: float | Tensor) -> Tensor:
        """Return the levels at time values, which may lie between the table's, shaped like `timestep`, float32."""
        ...

    def timestep(self, sigma: float | Tensor) -> Tensor:
        """Return the network's time values, shaped like `sigma`, float32."""
        ...

    def percent_to_sigma(self, percent: float) -> float:
        """Return the level at a share of sampling done, 0 at its start and 1 at its end."""
        ...


SamplerFunction = Callable[..., Iterator[Step]]
"""`(denoise, x, sigmas, *, noise: NoiseSource, path: Path, both: PairDenoiser, table: Table, **options)`; of what comes
by keyword, only what the function names."""
SchedulerFunction = Callable[[Table, int], Sequence[float]]
"""`(table, steps)` -> descending levels, as a rule steps + 1 with 0 last."""
