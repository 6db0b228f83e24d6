"""Weights made from others as they are read, one tensor at a time: merged models, and models with adapters baked in."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.delta import same_matrix
from nodegraph.diffusion.memory.patches import Delta
from nodegraph.diffusion.merging.methods import MergeError, Method, check_shapes
from nodegraph.diffusion.weights.store import Reader, Weights


class MadeWeights(Weights):
    """Tensors of the first of some weights, changed; what is read at less than 16 bits is given at float16."""

    def __init__(self, sources: Sequence[Weights]) -> None:
        self._sources = tuple(sources)
        self._first = self._sources[0]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the first."""
        return self._first.shapes

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of all."""
        return tuple(sorted({file for source in self._sources for file in source.files}))

    def dtype(self, name: str) -> torch.dtype:
        """Return the first's precision, at least float16."""
        dtype = self._first.dtype(name)
        return dtype if dtype.itemsize >= 2 else torch.float16

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Open all of them."""
        with ExitStack() as stack:
            yield _MadeReader(self, [stack.enter_context(source.opened()) for source in self._sources])

    @abstractmethod
    def made(self, name: str, readers: Sequence[Reader]) -> Tensor:
        """Return a tensor in float32 from the readers of the sources."""

    def stored(self, name: str, place: int, reader: Reader) -> Tensor:
        """Return a source's tensor in float32, as memory of its own."""
        tensor = torch.empty(self._sources[place].shapes[name], dtype=torch.float32)
        reader.copy(name, tensor)
        return tensor


class _MadeReader(Reader):
    def __init__(self, weights: MadeWeights, readers: Sequence[Reader]) -> None:
        self._weights, self._readers = weights, readers

    def read(self, name: str) -> Tensor:
        """Make a tensor at the precision of the weights."""
        return self._weights.made(name, self._readers).to(self._weights.dtype(name))


class MergedWeights(MadeWeights):
    """A part of several models merged by a method; tensors that another model lacks stay as the first has them."""

    def __init__(self, part: str, method: Method, sources: Sequence[Weights]) -> None:
        """Take the weights of one part of the models, the first model's first.

        Raises MergeError for the wrong number of models, and for tensors whose shapes do not fit.
        """
        super().__init__(sources)
        if len(sources) < 2 or method.models not in (None, len(sources)):
            raise MergeError(f"got {len(sources)} models, expected {method.models or 'two or more'}")
        self._part, self._method = part, method
        self._check()

    @cached_property
    def key(self) -> str:
        """The hash of what is merged, and how."""
        told = repr((self._part, self._method, [source.key for source in self._sources]))
        return hashlib.sha256(told.encode()).hexdigest()

    def made(self, name: str, readers: Sequence[Reader]) -> Tensor:
        """Merge the tensors of a name."""
        first = self.stored(name, 0, readers[0])
        if not all(name in source.shapes for source in self._sources):
            return first
        others = [self._like(first, self.stored(name, place, readers[place])) for place in range(1, len(readers))]
        return self._method(self._part, name, first, *others)

    def _like(self, first: Tensor, other: Tensor) -> Tensor:
        alike = first.shape != other.shape and same_matrix(tuple(first.shape), tuple(other.shape))
        return other.reshape(first.shape) if alike else other

    def _check(self) -> None:
        """Look at the shapes of all tensors."""
        for name, shape in self.shapes.items():
            shapes = [source.shapes[name] for source in self._sources if name in source.shapes]
            if len(shapes) == len(self._sources) and any(not same_matrix(shape, other) for other in shapes):
                check_shapes(self._part, name, shapes)


class RoundedWeights(MadeWeights):
    """Weights rounded to what a precision of 8 bits holds, as programs that keep them so have them."""

    def __init__(self, weights: Weights, to: torch.dtype) -> None:
        super().__init__([weights])
        self._to = to

    @cached_property
    def key(self) -> str:
        """The hash of the weights and the precision."""
        return hashlib.sha256(repr((self._first.key, str(self._to))).encode()).hexdigest()

    def made(self, name: str, readers: Sequence[Reader]) -> Tensor:
        """Round the tensor of a name; what lies beyond is the largest number."""
        limits = torch.finfo(self._to)
        return self.stored(name, 0, readers[0]).clamp_(limits.min, limits.max).to(self._to).float()


class PatchedWeights(MadeWeights):
    """A part of a model with adapters baked in: for each, its `key`, its changes by name, and its strength."""

    def __init__(self, base: Weights, patches: Sequence[tuple[str, Mapping[str, Delta], float]]) -> None:
        super().__init__([base])
        self._patches = tuple(patches)

    @cached_property
    def key(self) -> str:
        """The hash of the base and of what is put on it."""
        told = repr((self._first.key, [(key, strength) for key, _, strength in self._patches]))
        return hashlib.sha256(told.encode()).hexdigest()

    def made(self, name: str, readers: Sequence[Reader]) -> Tensor:
        """Change the tensor of a name."""
        weight = self.stored(name, 0, readers[0])
        for _, deltas, strength in self._patches:
            if name in deltas:
                weight = deltas[name].apply(weight, strength)
        return weight
