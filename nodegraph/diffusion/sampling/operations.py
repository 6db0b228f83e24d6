"""Operations on latents as rules of guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, Moment
from nodegraph.diffusion.values import Conditioning, LatentOperation


@dataclass(frozen=True)
class Operated:
    """Change what guidance moves along by an operation on latents; it replaces what the plain guidance led to."""

    operation: LatentOperation
    two_sided: ClassVar[bool] = False

    @property
    def prompts(self) -> Mapping[str, Conditioning]:
        """Return no prompts."""
        return {}

    def __call__(self, moment: Moment) -> Tensor:
        """Return the sample guided along the changed difference; without a negative prompt, the changed sample."""
        change, positive = self.operation.function, moment.sides[POSITIVE]
        if NEGATIVE not in moment.sides:
            return change(positive)
        negative = moment.sides[NEGATIVE]
        return torch.add(negative, change(positive - negative), alpha=moment.cfg)
