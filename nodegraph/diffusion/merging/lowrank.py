"""The best low-rank stand-in for a change of weights: its singular vectors, as many as a rule says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.adapters.additive import LowRank

CLAMP = 0.99
"""Factors are clamped at this quantile of their magnitudes, as kohya's tools and ComfyUI do."""


@dataclass(frozen=True)
class RankRule:
    """How many singular values are kept: at most `most`, and no more than each of the others asks for.

    `energy` is a share of the sum of squares; `cumulative` a share of the sum; `threshold` the least value kept;
    `ratio` the same as a share of the largest.
    """

    most: int
    energy: float | None = None
    cumulative: float | None = None
    threshold: float | None = None
    ratio: float | None = None

    def __post_init__(self) -> None:
        """Refuse a rank below 1 and shares outside (0, 1]."""
        if self.most < 1:
            raise ValueError(f"rank {self.most}: expected 1 or more")
        for name in ("energy", "cumulative", "ratio"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name}={share}: expected a share above 0 and at most 1")

    def of(self, values: Tensor) -> int:
        """Return how many of the singular values, the largest first, are kept: at least one."""
        values = values.double()
        asked = [self.most, len(values)]
        if self.energy is not None:
            asked.append(_reaching(values**2, self.energy))
        if self.cumulative is not None:
            asked.append(_reaching(values, self.cumulative))
        if self.threshold is not None:
            asked.append(int((values > self.threshold).sum()))
        if self.ratio is not None:
            asked.append(int((values >= self.ratio * values[0]).sum()))
        return max(1, min(asked))


def low_rank(difference: Tensor, rule: RankRule, clamp: float | None = CLAMP) -> LowRank:
    """Return the low-rank change nearest to a difference (out, in) or (out, in, kh, kw)."""
    u, values, v = torch.linalg.svd(difference.float().flatten(1), full_matrices=False)
    return _factors(u, values, v, tuple(difference.shape), rule, clamp)


def low_rank_product(up: Tensor, down: Tensor, rule: RankRule, clamp: float | None = CLAMP) -> LowRank:
    """Return the low-rank change nearest to a product of factors, found among their own few directions."""
    shape = (up.shape[0], *down.shape[1:])
    left, right = torch.linalg.qr(up.float().flatten(1)), torch.linalg.qr(down.float().flatten(1).T)
    u, values, v = torch.linalg.svd(left.R @ right.R.T, full_matrices=False)
    return _factors(left.Q @ u, values, v @ right.Q.T, shape, rule, clamp)


def _factors(
    u: Tensor, values: Tensor, v: Tensor, shape: tuple[int, ...], rule: RankRule, clamp: float | None
) -> LowRank:
    rank = rule.of(values)
    up, down = u[:, :rank] * values[:rank], v[:rank]
    if clamp is not None:
        largest = float(np.quantile(torch.cat([up.flatten(), down.flatten()]).cpu().numpy(), clamp))
        up, down = up.clamp(-largest, largest), down.clamp(-largest, largest)
    ones = (1,) * (len(shape) - 2)
    return LowRank(up.reshape(*up.shape, *ones).contiguous(), down.reshape(rank, *shape[1:]).contiguous())


def _reaching(values: Tensor, share: float) -> int:
    """Return how many values sum up to a share of all."""
    sums = values.cumsum(0)
    return int((sums < share * sums[-1] * (1 - 1e-12)).sum()) + 1
