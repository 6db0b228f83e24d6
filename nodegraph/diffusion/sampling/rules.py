"""Rules that change what guidance leads to; values that a model carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, GuidanceRule, Moment, SidesRule
from nodegraph.diffusion.values import Conditioning, Model

SAMPLE = (1, 2, 3)
"""The dimensions of one sample."""


REPLACING, RESHAPING, FOLLOWING = range(3)
"""Rules that take the place of plain guidance come first, whenever they were added; then those that correct it."""


def with_rule(model: Model, rule: GuidanceRule | SidesRule) -> Model:
    """Return the model with a rule more, the last of its phase, which takes the place of one of its kind."""
    kept = [other for other in model.guidance if type(other) is not type(rule)]
    ordered = sorted((*kept, rule), key=lambda rule: getattr(rule, "phase", FOLLOWING))
    return replace(model, guidance=tuple(ordered))


class Rule:
    """A rule that needs no further prompts, and the negative one only where it is computed anyway."""

    two_sided: ClassVar[bool] = False
    phase: ClassVar[int] = FOLLOWING

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return no prompts."""
        return {}


@dataclass(frozen=True)
class Rescale(Rule):
    """Keep strong guidance from overexposing (Lin et al. 2023, equations 14 to 16); `share` says how far."""

    share: float
    phase: ClassVar[int] = RESHAPING

    def __call__(self, moment: Moment) -> Tensor:
        """Pull the guided sample's contrast, as a velocity, towards the positive one's."""
        if NEGATIVE not in moment.sides or not self.share:
            return moment.clean
        sigma, positive = moment.sigma, moment.sides[POSITIVE]
        level = sigma.to(moment.x).reshape(-1, 1, 1, 1) if isinstance(sigma, Tensor) else sigma
        scale = (level**2 + 1) ** 0.5
        noisy = moment.x / scale**2
        wanted, guided = (noisy - positive) * (scale / level), (noisy - moment.clean) * (scale / level)
        contrast = wanted.std(dim=SAMPLE, keepdim=True) / guided.std(dim=SAMPLE, keepdim=True)
        velocity = guided * (self.share * contrast + (1 - self.share))
        return noisy - velocity * (level / scale)


@dataclass(frozen=True)
class PerpNeg(Rule):
    """Avoid only what of the negative prompt stands across the positive one (Armandpour et al. 2023).

    `empty` is the conditioning of an empty prompt, `scale` the strength of what is avoided. It replaces what the plain
    guidance led to.
    """

    empty: Conditioning
    scale: float = 1.0
    two_sided: ClassVar[bool] = True
    phase: ClassVar[int] = REPLACING

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return the empty prompt."""
        return {"empty": self.empty}

    def __call__(self, moment: Moment) -> Tensor:
        """Return the clean sample guided by both prompts' differences from the empty one, sample by sample."""
        empty = moment.sides["empty"]
        wanted, unwanted = moment.sides[POSITIVE] - empty, moment.sides[NEGATIVE] - empty
        across = unwanted - projected(unwanted, wanted)
        return torch.add(empty, wanted - across * self.scale, alpha=moment.cfg)


@dataclass(frozen=True)
class DualCfg(Rule):
    """Guide by two prompts, each in its own strength, and away from the negative one.

    `middle` is the second prompt, `scale` the strength of the step from the negative prompt to it; the cfg is that of
    the step from it to the first prompt. `nested` lets `scale` carry the first step too.
    """

    middle: Conditioning
    scale: float
    nested: bool = False
    two_sided: ClassVar[bool] = True
    phase: ClassVar[int] = REPLACING

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return the second prompt."""
        return {"middle": self.middle}

    def __call__(self, moment: Moment) -> Tensor:
        """Return the clean sample guided in two steps."""
        negative, middle, positive = moment.sides[NEGATIVE], moment.sides["middle"], moment.sides[POSITIVE]
        towards = (positive - middle) * moment.cfg
        if self.nested:
            return torch.add(negative, middle + towards - negative, alpha=self.scale)
        return torch.add(negative, middle - negative, alpha=self.scale) + towards


@dataclass(frozen=True)
class ZeroStar(Rule):
    """Scale the negative prediction to fit the positive one best before guiding (Fan et al. 2025, CFG-Zero*)."""

    def __call__(self, moment: Moment) -> Tensor:
        """Move the guided sample by what the scaled negative one differs from the plain one."""
        if NEGATIVE not in moment.sides:
            return moment.clean
        negative = moment.sides[NEGATIVE]
        away = moment.x - negative
        fit = ((moment.x - moment.sides[POSITIVE]) * away).sum(SAMPLE, keepdim=True)
        fit = fit / (away.square().sum(SAMPLE, keepdim=True) + 1e-8)
        return torch.add(moment.clean, negative * (1 - fit), alpha=moment.cfg - 1)


@dataclass(frozen=True)
class Norm(Rule):
    """Let the guided sample nowhere be larger than the positive one, over channels; then scale it by `strength`."""

    strength: float = 1.0

    def __call__(self, moment: Moment) -> Tensor:
        """Return the guided sample, scaled down where it is too large."""
        largest: Tensor = moment.sides[POSITIVE].norm(dim=1, keepdim=True)
        scale: Tensor = (largest / (moment.clean.norm(dim=1, keepdim=True) + 1e-8)).clamp(max=1.0)
        return moment.clean * scale * self.strength


def projected(tensor: Tensor, onto: Tensor) -> Tensor:
    """Return the part of each sample of (B, C, h, w) along the same sample of another."""
    length = onto.square().sum(SAMPLE, keepdim=True)
    return onto * ((tensor * onto).sum(SAMPLE, keepdim=True) / length.clamp(min=1e-30))
