"""Operations on latents as rules of guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, Moment, SidesRule
from nodegraph.diffusion.values import LatentOperation


@dataclass(frozen=True)
class Operated(SidesRule):
    """Change what guidance moves along by an operation on latents."""

    operation: LatentOperation

    def sides(self, moment: Moment) -> Mapping[str, Tensor]:
        """Return the positive side with another difference from the negative one; alone, the changed sample."""
        change, positive = self.operation.function, moment.sides[POSITIVE]
        if NEGATIVE not in moment.sides:
            return {POSITIVE: change(positive)}
        negative = moment.sides[NEGATIVE]
        return {POSITIVE: negative + change(positive - negative)}
