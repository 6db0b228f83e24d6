"""Adapters whose change depends on the weight: DoRA, OFT, BOFT, GLoRA, IA3, replacement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.additive import Additive
from nodegraph.diffusion.adapters.delta import Delta, Shape, as_weight, same_matrix


@dataclass(frozen=True, eq=False)
class Decomposed(Delta):
    """DoRA (Liu et al. 2024, eq. 5): `magnitude` * (W + D) / ||W + D||, the norm for each output or each input.

    `magnitude` has `out` elements, or is (1, in, ...). Between strengths 0 and 1 the weight is interpolated.
    """

    inner: Additive
    magnitude: Tensor

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Give the changed weight's rows (or columns) the trained lengths."""
        changed = self.inner.apply(weight, 1.0)
        others = [dim for dim in range(weight.ndim) if dim != self._axis]
        norm = torch.linalg.vector_norm(changed, dim=others, keepdim=True)
        magnitude = as_weight(self.magnitude, weight).reshape(norm.shape)
        changed = changed * (magnitude / norm.clamp_min(torch.finfo(weight.dtype).tiny))
        return changed if strength == 1.0 else torch.lerp(weight, changed, strength)

    @property
    def _axis(self) -> int:
        shape = self.magnitude.shape
        return 1 if len(shape) > 1 and shape[0] == 1 and shape[1] > 1 else 0

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the size of the change inside."""
        return self.inner.size

    def fitted(self, shape: Shape) -> Self | None:
        """Fit the change inside, and compare the number of magnitudes."""
        inner = self.inner.fitted(shape)
        fits = len(shape) > 1 and self.magnitude.numel() == shape[self._axis]
        return replace(self, inner=inner) if inner is not None and fits else None


@dataclass(frozen=True, eq=False)
class Rotation(Delta):
    """OFT (Qiu et al. 2023): the outputs turned block by block; `blocks` (n, b, b), n * b = out.

    R = (I + Q) (I - Q)^-1 with Q = B - B^T, its norm limited to `constraint` * out where that is above 0, as kohya's
    and LyCORIS' trainers do. `rescale` (out, 1, ...) scales the outputs after it.
    """

    blocks: Tensor
    constraint: float = 0.0
    rescale: Tensor | None = None

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Turn the outputs of the weight."""
        limit = self.constraint * weight.shape[0]
        turn = _towards(_rotations(self.blocks, limit, weight), strength)
        turned = torch.einsum("knm,kn...->km...", turn, weight.unflatten(0, self.blocks.shape[:2]))
        return _rescaled(turned.reshape(weight.shape), self.rescale, strength)

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the number of outputs."""
        count, side, other = self.blocks.shape
        fits = count * side == shape[0] and side == other
        return self if fits and _fits_outputs(self.rescale, shape) else None


@dataclass(frozen=True, eq=False)
class Butterfly(Delta):
    """BOFT (Liu et al. 2023): rotations between outputs ever farther apart; `blocks` (m, n, b, b), n * b = out."""

    blocks: Tensor
    constraint: float = 0.0
    rescale: Tensor | None = None

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Turn the outputs of the weight, level by level."""
        limit = self.constraint * weight.shape[0]
        turns = _towards(_rotations(self.blocks, limit, weight), strength)
        side, turned = self.blocks.shape[-1], weight
        for level, turn in enumerate(turns):
            stride = 2**level * (side // 2)
            paired = turned.unflatten(0, (-1, 2, stride)).transpose(1, 2)  # (groups, stride, 2, ...)
            blocked = paired.reshape(-1, side, *weight.shape[1:])
            mixed = torch.einsum("bij,bj...->bi...", turn, blocked).flatten(0, 1)
            turned = mixed.unflatten(0, (-1, stride, 2)).transpose(1, 2).reshape(weight.shape)
        return _rescaled(turned, self.rescale, strength)

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the number of outputs."""
        levels, count, side, other = self.blocks.shape
        fits = count * side == shape[0] and side == other and side % 2 == 0
        fits = fits and shape[0] % (2 ** (levels - 1) * side) == 0
        return self if fits and _fits_outputs(self.rescale, shape) else None


@dataclass(frozen=True, eq=False)
class Generalized(Delta):
    """GLoRA (Chavan et al. 2023): adds `scale` * (W @ a1 @ a2 + b1 @ b2).

    a1 is (in, r), a2 (r, in), b1 (out, r) and b2 (r, in) or (r, in, kh, kw). Older files hold the
    pairs the other way round; the reader turns them.
    """

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor
    scale: float = 1.0

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Add what the inputs are mixed by, and what is added to any weight."""
        a1, a2, b1, b2 = (as_weight(one, weight).flatten(1) for one in (self.a1, self.a2, self.b1, self.b2))
        mixed = torch.einsum("oi...,ir->or...", weight, a1)
        mixed = torch.einsum("or...,rj->oj...", mixed, a2)
        return weight + (strength * self.scale) * (mixed + (b1 @ b2).reshape(weight.shape))

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in)."""
        return self.b1.shape[0], self.a1.shape[0]

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the products' shapes."""
        inputs = self.a1.shape[0], self.a2[0].numel()
        whole = (self.b1.shape[0], *self.b2.shape[1:])
        fits = len(shape) > 1 and inputs == (shape[1], shape[1]) and same_matrix(whole, shape)
        return self if fits else None


@dataclass(frozen=True, eq=False)
class Rescaling(Delta):
    """IA3 (Liu et al. 2022): adds to a weight its product with `scales`, one for each output, or for each input."""

    scales: Tensor
    on_input: bool = False

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Scale the weight's rows or columns."""
        axis = 1 if self.on_input else 0
        shape = [weight.shape[axis] if dim == axis else 1 for dim in range(weight.ndim)]
        return weight * (1 + strength * as_weight(self.scales, weight).reshape(shape))

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the number of scales."""
        axis = 1 if self.on_input else 0
        return self if axis < len(shape) and self.scales.numel() == shape[axis] else None


@dataclass(frozen=True, eq=False)
class Replacement(Delta):
    """A tensor that takes the place of the network's."""

    value: Tensor

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Go from the weight to the value."""
        return torch.lerp(weight, as_weight(self.value, weight), strength)

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in) of a weight."""
        return (self.value.shape[0], self.value.shape[1]) if self.value.ndim > 1 else None

    def fitted(self, shape: Shape) -> Self | None:
        """Compare shapes."""
        return replace(self, value=self.value.reshape(shape)) if same_matrix(tuple(self.value.shape), shape) else None


def _rotations(blocks: Tensor, limit: float, weight: Tensor) -> Tensor:
    """Return Cayley's rotations (..., b, b) of the blocks' skew parts, whose norm is at most `limit` if above 0."""
    blocks = as_weight(blocks, weight)
    skew = blocks - blocks.mT
    if limit > 0:
        norm = torch.linalg.vector_norm(skew)
        skew = torch.where(norm > limit, skew * (limit / norm), skew)
    identity = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    turns: Tensor = torch.linalg.solve(identity - skew, identity + skew, left=False)
    return turns


def _towards(turn: Tensor, strength: float) -> Tensor:
    identity = torch.eye(turn.shape[-1], dtype=turn.dtype, device=turn.device)
    return identity + strength * (turn - identity)


def _rescaled(weight: Tensor, rescale: Tensor | None, strength: float) -> Tensor:
    if rescale is None:
        return weight
    scales = as_weight(rescale, weight).reshape(-1, *(1,) * (weight.ndim - 1))
    return weight * (1 + strength * (scales - 1))


def _fits_outputs(rescale: Tensor | None, shape: Shape) -> bool:
    return rescale is None or rescale.numel() == shape[0]
