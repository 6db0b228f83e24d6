"""How tensors of models are combined; all in float32, and none changes what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

SAME_DIRECTION = 0.9995
"""Cosine from which a straight line stands for the arc, as is usual for SLERP of weights."""
TRAIN_DIFFERENCE_GAIN = 1.8


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
    differences = [trimmed(one - base, density) for one in tuned]
    return base + scale * _summed(differences, weights, elect=True, normalize=normalize)


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
    differences = []
    for place, one in enumerate(tuned):
        kept = _drawn(base, density, seed, name, place)
        differences.append((one - base) * kept / (density if rescale else 1.0))
    return base + scale * _summed(differences, weights, elect=elect, normalize=normalize)


def trimmed(difference: Tensor, density: float) -> Tensor:
    """Keep the share `density` of the elements that are largest by magnitude, at least one; the rest becomes 0."""
    size = difference.numel()
    keep = max(1, int(density * size))
    if keep >= size:
        return difference
    magnitude = difference.detach().abs().flatten()
    least = float(np.partition(magnitude.cpu().numpy(), size - keep)[size - keep])
    kept = magnitude > least
    level = (magnitude == least).nonzero().flatten()[: keep - int(kept.sum())]
    kept[level] = True
    return torch.where(kept.reshape(difference.shape), difference, 0.0)


def _summed(differences: Sequence[Tensor], weights: Sequence[float], *, elect: bool, normalize: bool) -> Tensor:
    weighed = [difference * weight for difference, weight in zip(differences, weights, strict=True)]
    total = sum_of(weighed)
    if not elect and not normalize:
        return total
    sign = torch.where(total >= 0, 1.0, -1.0)
    agrees = [one.sign() == sign if elect else torch.ones_like(one, dtype=torch.bool) for one in weighed]
    merged = sum_of([one * kept for one, kept in zip(weighed, agrees, strict=True)])
    if not normalize:
        return merged
    divisor = sum_of([kept * weight for kept, weight in zip(agrees, weights, strict=True)])
    return torch.where(divisor.abs() > 1e-8, merged / divisor, merged)


def sum_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of one or more tensors."""
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total += tensor
    return total


def _drawn(like: Tensor, density: float, seed: int, name: str, place: int) -> Tensor:
    digest = hashlib.sha256(f"{seed}/{place}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return (torch.rand(like.shape, generator=generator) < density).to(like.device)
