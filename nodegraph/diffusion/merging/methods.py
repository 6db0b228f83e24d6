"""Merges as data: what is done with the tensors of one name, called tensor by tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nodegraph.diffusion.merging import formulas
from nodegraph.diffusion.merging.blocks import Share

FIRST_LAYER = "input_blocks.0.0.weight"
"""Its inputs are 4 channels, 9 for inpainting and 8 for InstructPix2Pix; the first 4 are the same in all."""


class MergeError(ValueError):
    """Models that cannot be merged; the message names the tensor."""


@dataclass(frozen=True)
class Method(ABC):
    """What is done with the tensors of one name, the first model's first; equal methods do the same."""

    @abstractmethod
    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Return the merged tensor of float32 ones of one shape."""

    @property
    def models(self) -> int | None:
        """How many models it takes, None for any number from 2 up."""
        return 2

    def __call__(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Return the merged tensor, of the first model's shape; raise MergeError where the shapes do not fit."""
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if len(set(shapes)) == 1:
            return self.combine(part, name, *tensors)
        check_shapes(part, name, shapes)
        shared = min(shape[1] for shape in shapes)
        merged = tensors[0].clone()
        merged[:, :shared] = self.combine(part, name, *(tensor[:, :shared] for tensor in tensors))
        return merged


@dataclass(frozen=True)
class WeightedSum(Method):
    """a * (1 - share) + b * share."""

    share: Share

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Interpolate."""
        a, b = tensors
        return formulas.weighted_sum(a, b, self.share.of(part, name))


@dataclass(frozen=True)
class Slerp(Method):
    """Along the arc from a to b."""

    share: Share

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Interpolate."""
        a, b = tensors
        return formulas.slerp(a, b, self.share.of(part, name))


@dataclass(frozen=True)
class Linear(Method):
    """`first` * a + `second` * b: the sum and the difference of models (ComfyUI's ModelMergeAdd and -Subtract)."""

    first: float = 1.0
    second: float = 1.0

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Add."""
        a, b = tensors
        return self.first * a + self.second * b


@dataclass(frozen=True)
class AddDifference(Method):
    """a + share * (b - c)."""

    share: Share

    @property
    def models(self) -> int:
        """Three."""
        return 3

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Add the difference."""
        a, b, c = tensors
        return formulas.add_difference(a, b, c, self.share.of(part, name))


@dataclass(frozen=True)
class TrainDifference(Method):
    """What training made of c into b, where a is not there yet."""

    share: Share

    @property
    def models(self) -> int:
        """Three."""
        return 3

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Add the difference."""
        a, b, c = tensors
        return formulas.train_difference(a, b, c, self.share.of(part, name))


@dataclass(frozen=True)
class Ties(Method):
    """TIES of models tuned from the first one; `weights` has one a tuned model."""

    weights: tuple[float, ...]
    density: float = 0.5
    scale: float = 1.0
    normalize: bool = True

    def __post_init__(self) -> None:
        """Refuse a density outside (0, 1]."""
        check_density(self.density)

    @property
    def models(self) -> int:
        """The base and the tuned ones."""
        return len(self.weights) + 1

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Merge the differences to the base."""
        base, *tuned = tensors
        return formulas.ties(base, tuned, self.weights, self.density, scale=self.scale, normalize=self.normalize)


@dataclass(frozen=True)
class Dare(Method):
    """DARE of models tuned from the first one; with `elect` it is dare_ties, without dare_linear."""

    weights: tuple[float, ...]
    density: float = 0.5
    seed: int = 0
    elect: bool = False
    scale: float = 1.0
    normalize: bool = False
    rescale: bool = True

    def __post_init__(self) -> None:
        """Refuse a density outside (0, 1]."""
        check_density(self.density)

    @property
    def models(self) -> int:
        """The base and the tuned ones."""
        return len(self.weights) + 1

    def combine(self, part: str, name: str, *tensors: Tensor) -> Tensor:
        """Merge what is left of the differences to the base."""
        base, *tuned = tensors
        return formulas.dare(
            base,
            tuned,
            self.weights,
            self.density,
            seed=self.seed,
            name=f"{part}.{name}",
            elect=self.elect,
            scale=self.scale,
            normalize=self.normalize,
            rescale=self.rescale,
        )


def check_shapes(part: str, name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise MergeError unless tensors of unequal shapes can be merged all the same."""
    same = len({(shape[:1], shape[2:]) for shape in shapes}) == 1
    if not (part == "unet" and name == FIRST_LAYER and same):
        told = " and ".join(str(list(shape)) for shape in dict.fromkeys(shapes))
        raise MergeError(f"{part}: {name} is {told}: models of one kind are expected")


def check_density(density: float) -> None:
    """Raise ValueError for what is no share above 0."""
    if not 0 < density <= 1:
        raise ValueError(f"density={density}: expected a share above 0 and at most 1")
