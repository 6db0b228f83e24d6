"""Adapters that add to a weight what does not depend on it: LoRA, LoHa, LoKr, full differences."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from math import prod
from typing import Self

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.delta import Delta, Factors, Shape, as_weight, same_matrix


@dataclass(frozen=True, eq=False)
class Additive(Delta):
    """A change that is added."""

    @abstractmethod
    def difference(self, like: Tensor) -> Tensor:
        """Return what is added at strength 1, with the elements of `like`, at its precision and on its device."""

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Add the difference."""
        return weight + strength * self.difference(weight).reshape(weight.shape)

    @property
    def additive(self) -> bool:
        """It is."""
        return True


@dataclass(frozen=True, eq=False)
class LowRank(Additive):
    """LoRA (Hu et al. 2021): `scale` * up @ down, for convolutions as LoCon does; `mid` is the core of a Tucker form.

    `up` is (out, r) or (out, r, 1, 1), `down` (r, in) or (r, in, kh, kw); with `mid` (r, s, kh, kw) `down` is
    (s, in, 1, 1).
    """

    up: Tensor
    down: Tensor
    scale: float = 1.0
    mid: Tensor | None = None

    def difference(self, like: Tensor) -> Tensor:
        """Multiply the factors."""
        up, down = self._wide(like)
        return (up.flatten(1) @ down.flatten(1)) * self.scale

    def factors(self, strength: float, /) -> Factors:
        """Return the factors, the scale in `up`."""
        up, down = self._wide(torch.empty(0, device=self.up.device))
        return up * (self.scale * strength), down

    def _wide(self, like: Tensor) -> Factors:
        up, down = as_weight(self.up, like), as_weight(self.down, like)
        if self.mid is not None:
            down = torch.einsum("mnhw,nj->mjhw", as_weight(self.mid, like), down.flatten(1))
        return up, down

    @property
    def rank(self) -> int:
        """Return the number of columns of `up`."""
        return self.up.shape[1]

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in)."""
        return self.up.shape[0], self.down.shape[1]

    def fitted(self, shape: Shape) -> Self | None:
        """Give linear factors the shape of a 1x1 convolution's and the other way round."""
        if self.mid is not None:
            fits = shape == (self.up.shape[0], self.down.shape[1], *self.mid.shape[2:])
            return self if fits else None
        if not same_matrix((self.up.shape[0], *self.down.shape[1:]), shape):
            return None
        ones = (1, 1) if len(shape) == 4 else ()
        return replace(
            self,
            up=self.up.reshape(*self.up.shape[:2], *ones),
            down=self.down.reshape(self.down.shape[0], *shape[1:]),
        )


@dataclass(frozen=True, eq=False)
class Hadamard(Additive):
    """LoHa (Hyeon-Woo et al. 2022, FedPara): `scale` * (a1 @ b1) * (a2 @ b2), elementwise between the two.

    With cores `t1` and `t2` (r, r, kh, kw), `a` is (r, out) and `b` (r, in): the Tucker form.
    """

    a1: Tensor
    b1: Tensor
    a2: Tensor
    b2: Tensor
    scale: float = 1.0
    t1: Tensor | None = None
    t2: Tensor | None = None

    def difference(self, like: Tensor) -> Tensor:
        """Multiply the two products."""
        first = _product(self.a1, self.b1, self.t1, like)
        return first * _product(self.a2, self.b2, self.t2, like) * self.scale

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in), where `in` counts a kernel's cells unless there are cores."""
        if self.t1 is None:
            return self.a1.shape[0], self.b1.shape[1]
        return self.a1.shape[1], self.b1.shape[1]

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the products' shapes."""
        if self.t1 is None:
            return self if (self.a1.shape[0], self.b1.shape[1]) == (shape[0], prod(shape[1:])) else None
        whole = (self.a1.shape[1], self.b1.shape[1], *self.t1.shape[2:])
        return self if same_matrix(whole, shape) else None


@dataclass(frozen=True, eq=False)
class Kronecker(Additive):
    """LoKr (Yeh et al. 2024, LyCORIS): `scale` * kron(w1, w2), each whole or the product of a pair."""

    w1: Tensor | None = None
    w1_a: Tensor | None = None
    w1_b: Tensor | None = None
    w2: Tensor | None = None
    w2_a: Tensor | None = None
    w2_b: Tensor | None = None
    t2: Tensor | None = None
    scale: float = 1.0

    def difference(self, like: Tensor) -> Tensor:
        """Multiply the pairs, then each element of the first by the whole second."""
        w1 = _whole(self.w1, self.w1_a, self.w1_b, None, like)
        w2 = _whole(self.w2, self.w2_a, self.w2_b, self.t2, like)
        return torch.kron(w1.reshape(w1.shape + (1,) * (w2.ndim - w1.ndim)), w2.contiguous()) * self.scale

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in), where `in` counts a kernel's cells if the pairs do."""
        shape = self._shape()
        return shape[0], shape[1]

    def fitted(self, shape: Shape) -> Self | None:
        """Compare the product's shape."""
        whole = self._shape()
        return self if (whole[0], prod(whole[1:])) == (shape[0], prod(shape[1:])) else None

    def _shape(self) -> Shape:
        first = _whole_shape(self.w1, self.w1_a, self.w1_b, None)
        second = _whole_shape(self.w2, self.w2_a, self.w2_b, self.t2)
        return (first[0] * second[0], first[1] * second[1], *second[2:])


@dataclass(frozen=True, eq=False)
class Full(Additive):
    """A whole difference, of a weight, a bias or a norm."""

    diff: Tensor
    scale: float = 1.0

    def difference(self, like: Tensor) -> Tensor:
        """Return the difference."""
        return as_weight(self.diff, like) * self.scale

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in) of a weight's difference."""
        return (self.diff.shape[0], self.diff.shape[1]) if self.diff.ndim > 1 else None

    def fitted(self, shape: Shape) -> Self | None:
        """Compare shapes."""
        return replace(self, diff=self.diff.reshape(shape)) if same_matrix(tuple(self.diff.shape), shape) else None


def _product(a: Tensor, b: Tensor, core: Tensor | None, like: Tensor) -> Tensor:
    a, b = as_weight(a, like), as_weight(b, like)
    if core is None:
        return a @ b
    return torch.einsum("ijkl,jr,ip->prkl", as_weight(core, like), b, a)


def _whole(whole: Tensor | None, a: Tensor | None, b: Tensor | None, core: Tensor | None, like: Tensor) -> Tensor:
    if whole is not None:
        return as_weight(whole, like)
    if a is None or b is None:
        raise ValueError("LoKr: expected a whole factor or a pair")
    return _product(a, b, core, like)


def _whole_shape(whole: Tensor | None, a: Tensor | None, b: Tensor | None, core: Tensor | None) -> Shape:
    if whole is not None:
        return tuple(whole.shape)
    if a is None or b is None:
        raise ValueError("LoKr: expected a whole factor or a pair")
    if core is None:
        return (a.shape[0], b.shape[1], *b.shape[2:])
    return (a.shape[1], b.shape[1], *core.shape[2:])
