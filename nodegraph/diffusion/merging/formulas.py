"""How tensors of models are combined; all in float32, and none changes what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

SAME_DIRECTION = 0.9995
"""Cosine from which a straight line stands for the arc, as is usual for SLERP of weights."""
TRAIN_DIFFERENCE_GAIN = 1.8
PIECE = 2**20
"""Elements that are merged at once; what is drawn at random hangs on it."""


def weighted_sum(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Return a * (1 - share) + b * share."""
    return torch.lerp(a, b, share)


def add_difference(a: Tensor, b: Tensor, c: Tensor, share: float) -> Tensor:
    """Return a + share * (b - c): what training made of c into b, on a."""
    return a + share * (b - c)


def train_difference(a: Tensor, b: Tensor, c: Tensor, share: float) -> Tensor:
    """Add b - c where a is not there yet: a + 1.8 * share * (b - c) * |b - a| / (|b - c| + |b - a|).

    This is SuperMerger's trainDifference; where b equals c nothing is added.
    """
    learned, missing = b - c, (b - a).abs()
    total = learned.abs() + missing
    return a + TRAIN_DIFFERENCE_GAIN * share * learned * torch.where(total > 0, missing / total, 0.0)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Go from a to b along the arc between their directions (Shoemake 1985), lengths not normalised."""
    lengths = torch.linalg.vector_norm(a) * torch.linalg.vector_norm(b)
    cosine = float((a.flatten() @ b.flatten()) / lengths) if lengths > 0 else 1.0
    if abs(cosine) > SAME_DIRECTION:
        return weighted_sum(a, b, share)
    angle = float(np.arccos(cosine))
    return a * float(np.sin((1 - share) * angle) / np.sin(angle)) + b * float(np.sin(share * angle) / np.sin(angle))


def ties(
    base: Tensor,
    tuned: Sequence[Tensor],
    weights: Sequence[float],
    density: float,
    *,
    scale: float = 1.0,
    normalize: bool = True,
) -> Tensor:
    """Trim, elect signs, merge what agrees (Yadav et al. 2023), for one tensor.

    Of each difference to the base the share `density` of the largest is kept. `normalize` divides by the sum of the
    weights that agree.
    """
    kept = [largest(one - base, density).flatten() for one in tuned]
    return _merged(base, tuned, weights, [one.__getitem__ for one in kept], scale, elect=True, normalize=normalize)


def dare(
    base: Tensor,
    tuned: Sequence[Tensor],
    weights: Sequence[float],
    density: float,
    *,
    seed: int,
    name: str,
    elect: bool = False,
    scale: float = 1.0,
    normalize: bool = False,
    rescale: bool = True,
) -> Tensor:
    """Drop differences to the base at random and rescale what is left (Yu et al. 2024), for one tensor.

    What is dropped is drawn on the CPU by seed, name of the tensor and place of the model. `elect` lets the signs
    be elected as `ties` does.
    """
    drawn = [_Draws(density, seed, name, place) for place in range(len(tuned))]
    factor = scale / density if rescale else scale
    return _merged(base, tuned, weights, drawn, factor, elect=elect, normalize=normalize)


def largest(difference: Tensor, density: float) -> Tensor:
    """Return where the share `density` of the elements lies that is largest by magnitude, at least one.

    Of equal ones the first are taken. `difference` is used up.
    """
    size = difference.numel()
    keep = max(1, int(density * size))
    if keep >= size:
        return torch.ones_like(difference, dtype=torch.bool)
    magnitude = difference.abs_()
    least = float(np.partition(magnitude.flatten().cpu().numpy(), size - keep)[size - keep])
    kept = magnitude > least
    level = (magnitude == least).flatten().nonzero().flatten()[: keep - np.count_nonzero(kept.cpu().numpy())]
    kept.view(-1)[level] = True
    return kept


Kept = Callable[[slice], Tensor]
"""From a stretch of a flattened tensor to which of its elements count; called in order."""


def _merged(
    base: Tensor,
    tuned: Sequence[Tensor],
    weights: Sequence[float],
    kept: Sequence[Kept],
    scale: float,
    *,
    elect: bool,
    normalize: bool,
) -> Tensor:
    """Add to the base what is kept of the differences, piece by piece, so that it takes little memory besides."""
    merged, flat = torch.empty_like(base), base.flatten()
    others = [one.flatten() for one in tuned]
    for start in range(0, len(flat), PIECE):
        piece = slice(start, min(start + PIECE, len(flat)))
        weighed = [
            (one[piece] - flat[piece]) * here(piece).to(flat.device) * weight
            for one, here, weight in zip(others, kept, weights, strict=True)
        ]
        total = _summed(weighed, weights, elect=elect, normalize=normalize)
        merged.view(-1)[piece] = flat[piece] + scale * total
    return merged


def _summed(weighed: Sequence[Tensor], weights: Sequence[float], *, elect: bool, normalize: bool) -> Tensor:
    total = sum_of(weighed)
    if not elect and not normalize:
        return total
    sign = torch.where(total >= 0, 1.0, -1.0)
    agrees = [one.sign() == sign if elect else torch.ones_like(one, dtype=torch.bool) for one in weighed]
    merged = sum_of([one * agreed for one, agreed in zip(weighed, agrees, strict=True)])
    if not normalize:
        return merged
    divisor = sum_of([agreed * weight for agreed, weight in zip(agrees, weights, strict=True)])
    return torch.where(divisor.abs() > 1e-8, merged / divisor, merged)


def sum_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of one or more tensors."""
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total += tensor
    return total


class _Draws:
    """Which elements are kept by chance, drawn on the CPU."""

    def __init__(self, density: float, seed: int, name: str, place: int) -> None:
        digest = hashlib.sha256(f"{seed}/{place}/{name}".encode()).digest()
        self._density = density
        self._generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)

    def __call__(self, piece: slice) -> Tensor:
        """Draw for the next piece."""
        return torch.rand(piece.stop - piece.start, generator=self._generator) < self._density
