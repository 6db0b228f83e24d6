"""Rules that shape the difference between the two sides of guidance, or how strong it is where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, Moment, SidesRule
from nodegraph.diffusion.sampling.rules import REPLACING, SAMPLE, Rule, projected


@dataclass(frozen=True)
class AdaptiveProjected(SidesRule):
    """Guide across the positive sample rather than along it, not too far, with memory (Sadat et al. 2024, APG).

    `along` is the share of what goes along it; the difference of the sides is cut to the length `longest` (0: not at
    all); `momentum` is the share of the earlier levels' difference that is added.
    """

    along: float = 1.0
    longest: float = 5.0
    momentum: float = 0.0

    def sides(self, moment: Moment) -> Mapping[str, Tensor]:
        """Return the positive side that plain guidance makes it of."""
        if NEGATIVE not in moment.sides or not moment.cfg:
            return {}
        positive, negative = moment.sides[POSITIVE], moment.sides[NEGATIVE]
        plain = positive - negative
        guidance = self._remembered(moment, plain)
        if self.longest > 0:
            length = _length(guidance)
            guidance = guidance * (self.longest / length.clamp(min=1e-12)).clamp(max=1.0)
        along = projected(guidance, positive)
        return {POSITIVE: negative + (guidance - along) + along * self.along + plain / moment.cfg}

    def _remembered(self, moment: Moment, guidance: Tensor) -> Tensor:
        if not self.momentum:
            return guidance
        sigma = float(moment.sigma.max()) if isinstance(moment.sigma, Tensor) else moment.sigma
        before, average = moment.memory.get(type(self), (sigma, None))
        if average is not None and sigma <= before and average.shape == guidance.shape:
            guidance = guidance + average * self.momentum
        moment.memory[type(self)] = (sigma, guidance)
        return guidance


@dataclass(frozen=True)
class TangentialDamping(SidesRule):
    """Keep of the negative side's noise what both sides have in common (Kwon et al. 2025, TCFG)."""

    def sides(self, moment: Moment) -> Mapping[str, Tensor]:
        """Return the negative side, its noise projected onto the first singular vector of both."""
        if NEGATIVE not in moment.sides:
            return {}
        noises = torch.stack([moment.x - moment.sides[name] for name in (POSITIVE, NEGATIVE)], dim=1)
        flat = noises.flatten(2).double()  # (B, 2, C * h * w)
        products = flat @ flat.mT  # (B, 2, 2), whose first eigenvector mixes the noises to the singular vector
        angle = torch.atan2(2 * products[:, 0, 1], products[:, 0, 0] - products[:, 1, 1]) / 2
        mixture = torch.stack((angle.cos(), angle.sin()), dim=1)[:, None]  # (B, 1, 2)
        common = F.normalize((mixture @ flat)[:, 0], dim=-1)  # (B, C * h * w)
        damped = (flat[:, 1] * common).sum(-1, keepdim=True) * common
        return {NEGATIVE: moment.x - damped.to(moment.x.dtype).view_as(moment.x)}


@dataclass(frozen=True)
class ScaledFrequencies(SidesRule):
    """Scale low and high frequencies of the difference of the sides (Huang et al. 2025, FreSca).

    Those of fewer than `cutoff` cycles a side are low.
    """

    low: float = 1.0
    high: float = 1.25
    cutoff: int = 20

    def sides(self, moment: Moment) -> Mapping[str, Tensor]:
        """Return the positive side with another difference from the negative one."""
        if NEGATIVE not in moment.sides:
            return {}
        negative = moment.sides[NEGATIVE]
        difference = (moment.sides[POSITIVE] - negative).float()
        scales = torch.full(difference.shape[2:], self.high, device=difference.device)
        reaches = [(side // 2, min(self.cutoff, side // 2)) for side in scales.shape]
        inside = tuple(slice(middle - reach, middle + reach) for middle, reach in reaches)
        scales[inside] = self.low
        spectrum = torch.fft.fft2(difference) * torch.fft.ifftshift(scales)
        return {POSITIVE: negative + torch.fft.ifft2(spectrum).real.to(negative.dtype)}


@dataclass(frozen=True)
class Leaning(Rule):
    """Lean towards the positive side scaled by cfg, the more the less alike both sides are (yoinked, "Mahiro")."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return the mixture of the guided sample and of the scaled positive one, sample by sample."""
        if NEGATIVE not in moment.sides:
            return moment.clean
        leap, away = moment.sides[POSITIVE] * moment.cfg, moment.sides[NEGATIVE] * moment.cfg
        mean = (leap + moment.clean) / 2
        one, other = (tensor.abs().sqrt() * tensor.sign() for tensor in (away, mean))
        alike = F.cosine_similarity(one, other).mean((1, 2)).view(-1, 1, 1, 1)
        return torch.lerp(leap, moment.clean, (alike + 1) / 2)


@dataclass(frozen=True)
class Renormalised(Rule):
    """Guide below the level `highest` alone, and let no sample be longer than `length` times the positive one (0: any).

    It replaces what the plain guidance led to.
    """

    highest: float = 100.0
    length: float = 1.0
    phase: ClassVar[int] = REPLACING

    def __call__(self, moment: Moment) -> Tensor:
        """Return the guided sample, cut to its length."""
        positive = moment.sides[POSITIVE]
        if NEGATIVE not in moment.sides:
            return moment.clean
        sigma = float(moment.sigma.max()) if isinstance(moment.sigma, Tensor) else moment.sigma
        if sigma >= self.highest:
            return positive
        negative = moment.sides[NEGATIVE]
        guided = torch.add(negative, positive - negative, alpha=moment.cfg)
        if not self.length:
            return guided
        longest = _length(positive) * self.length
        scale: Tensor = (longest / _length(guided).clamp(min=1e-12)).clamp(max=1.0)
        return guided * scale


@dataclass(frozen=True)
class ScaledNoise(Rule):
    """Divide the noise that is seen in the sample by `factor` (Ning et al. 2024, epsilon scaling)."""

    factor: float = 1.005

    def __call__(self, moment: Moment) -> Tensor:
        """Return the clean sample that less noise leads to."""
        return moment.clean if self.factor == 1.0 else moment.x - (moment.x - moment.clean) / self.factor


@dataclass(frozen=True)
class FrameGuidance(Rule):
    """Guide each frame of a batch in a strength of its own, from `least` in the first up to cfg.

    cfg is reached in the last frame, or by "triangle" in the middle one, the last being as the first. It replaces what
    the plain guidance led to.
    """

    least: float = 1.0
    course: Literal["linear", "triangle"] = "linear"
    phase: ClassVar[int] = REPLACING

    def __call__(self, moment: Moment) -> Tensor:
        """Return the guided frames."""
        if NEGATIVE not in moment.sides:
            return moment.clean
        positive, negative = moment.sides[POSITIVE], moment.sides[NEGATIVE]
        shares: Tensor = torch.linspace(0, 1, len(positive), device=positive.device)
        if self.course == "triangle":
            shares = 2 * (shares - (shares + 0.5).floor()).abs()
        scales = (shares * (moment.cfg - self.least) + self.least).view(-1, 1, 1, 1)
        return negative + (positive - negative) * scales


def _length(x: Tensor) -> Tensor:
    """Return the Euclidean length of each sample: (B, 1, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(x, dim=SAMPLE, keepdim=True)
    return length
