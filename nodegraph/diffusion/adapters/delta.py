"""What an adapter does to one tensor of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

from torch import Tensor

Shape = tuple[int, ...]
Factors = tuple[Tensor, Tensor]
"""`up` (out, rank) or (out, rank, 1, 1) and `down` (rank, in) or (rank, in, kh, kw), whose product is added."""


Changes = Mapping[str, Mapping[str, "Delta"]]
"""Changes of a model's tensors, by part (`unet`, `clip`) and name."""


@dataclass(frozen=True, eq=False)
class Delta(ABC):
    """A change of a tensor (out, in), (out, in, kh, kw) or (out,), its own tensors as they are stored.

    Strength 0 leaves a tensor as it is, 1 changes it as the adapter was trained.
    """

    @abstractmethod
    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Return the changed tensor for one in float32, on its device; the one given is left as it is."""

    def factors(self, strength: float, /) -> Factors | None:
        """Return two small float32 tensors whose product is what `apply` adds, None where it does anything else."""
        return None

    @abstractmethod
    def fitted(self, shape: Shape) -> Self | None:
        """Return the change with its tensors viewed as a tensor of `shape` wants them, None where it does not fit."""

    @property
    def additive(self) -> bool:
        """Tell whether what is added is the same for any weight."""
        return False

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (out, in) of the layers that it fits, as far as it tells."""
        return None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors that it holds."""
        values = [getattr(self, field.name) for field in fields(self)]
        inner = [tensor for value in values if isinstance(value, Delta) for tensor in value.tensors]
        return tuple([value for value in values if isinstance(value, Tensor)] + inner)


@dataclass(frozen=True, eq=False)
class Scaled(Delta):
    """A change at `factor` times the strength."""

    inner: Delta
    factor: float

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Apply the change at its share of the strength."""
        return self.inner.apply(weight, strength * self.factor)

    def factors(self, strength: float, /) -> Factors | None:
        """Return the factors of the change at its share of the strength."""
        return self.inner.factors(strength * self.factor)

    def fitted(self, shape: Shape) -> Self | None:
        """Fit the change to a shape."""
        inner = self.inner.fitted(shape)
        return None if inner is None else replace(self, inner=inner)

    @property
    def additive(self) -> bool:
        """Tell whether the change is additive."""
        return self.inner.additive

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the size of the change."""
        return self.inner.size


def as_weight(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a stored tensor at a weight's precision and on its device."""
    return tensor.to(weight.device, weight.dtype)


def same_matrix(shape: Shape, other: Shape) -> bool:
    """Tell whether two shapes differ at most in trailing ones: a linear layer is a 1x1 convolution."""
    return _trimmed(shape) == _trimmed(other)


def _trimmed(shape: Shape) -> Shape:
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
