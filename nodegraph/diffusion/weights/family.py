"""A model family as data: which parts its checkpoints have, what tells them, how each part's network is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nodegraph.diffusion.values import DiffusionSchedule, LatentFormat, Prediction
from nodegraph.diffusion.weights.header import TensorInfo
from nodegraph.diffusion.weights.hints import Hints, Schedule

if TYPE_CHECKING:
    from torch import nn

Tensors: TypeAlias = Mapping[str, TensorInfo]
Config: TypeAlias = Any
"""A frozen dataclass that the part's network is made from."""


Pattern: TypeAlias = tuple[int | tuple[int, ...] | None, ...]
"""A shape: each size a number, one of several, or any (None)."""


class ShapeError(Exception):
    """A tensor that is missing or has a shape that no configuration gives; holds what to tell."""


@dataclass(frozen=True)
class Telltale:
    """A tensor that tells a family: its part, its name in our layout and its shape.

    A size is None where any will do, and a tuple where one of a few will.
    """

    part: str
    key: str
    shape: Pattern | None = None

    def problem(self, parts: Mapping[str, Tensors]) -> str | None:
        """Return what speaks against it in the parts of a file, or None."""
        info = parts[self.part].get(self.key)
        if info is None:
            return f"{self.part}: no {self.key}"
        if self.shape is None or fits(info.shape, self.shape):
            return None
        return f"{self.part}: {self.key} is {shown(info.shape)}, expected {shown(self.shape)}"


@dataclass(frozen=True)
class Part:
    """A network of a family and where its tensors are.

    In a single file they start with the first of `prefixes` that occurs, a pair (in the file, in our names); in a
    diffusers folder they lie in `folder` and `from_diffusers` gives them our names. Tensors whose names in our layout
    start with one of `ignored` are passed over: buffers and leftovers of training.
    """

    name: str
    title: str
    prefixes: tuple[tuple[str, str], ...]
    folder: str
    from_diffusers: Callable[[Tensors], Tensors]
    configure: Callable[[Tensors, Hints], Config]
    """Read the network's configuration from our names and shapes; may raise ShapeError, MetadataError, ValueError."""
    network: str
    """The network's class as `module:attribute`, so that a file can be judged without torch."""
    settings: tuple[str, ...] = ()
    """The fields of the configuration that shapes cannot tell; they are stored beside the tensors."""
    ignored: tuple[str, ...] = ()
    survives_float16: bool = True
    """False: its values overflow there, and float32 is taken instead."""

    def build(self, config: Config) -> nn.Module:
        """Make the network."""
        module, _, attribute = self.network.partition(":")
        network: nn.Module = getattr(importlib.import_module(module), attribute)(config)
        return network

    def from_file(self, tensors: Tensors) -> Tensors:
        """Return its tensors of a single file under our names."""
        return self.wanted(self.below_prefix(tensors))

    def below_prefix(self, tensors: Tensors) -> Tensors:
        """Return the tensors of a single file below the first prefix that occurs, by their names there."""
        for stored, ours in self.prefixes:
            found = {
                ours + name.removeprefix(stored): info for name, info in tensors.items() if name.startswith(stored)
            }
            if found:
                return found
        return {}

    def stored_name(self, key: str) -> str:
        """Return the name that a tensor under our name is stored by in a single file."""
        stored, ours = self.prefixes[0]
        return stored + key.removeprefix(ours)

    def from_folder(self, tensors: Tensors) -> Tensors:
        """Return its tensors of a diffusers folder, whose names start with `folder/`, under our names."""
        start = f"{self.folder}/"
        found = {name.removeprefix(start): info for name, info in tensors.items() if name.startswith(start)}
        return self.wanted(self.from_diffusers(found)) if found else {}

    def wanted(self, tensors: Tensors) -> Tensors:
        """Return the tensors without those that are passed over."""
        return {name: info for name, info in tensors.items() if not name.startswith(self.ignored)}


@dataclass(frozen=True)
class SolePart(Part):
    """A part whose file may hold nothing else: its tensors' names then start with no prefix, or are diffusers'."""

    def from_file(self, tensors: Tensors) -> Tensors:
        """Return its tensors under our names."""
        found = super().from_file(tensors)
        return found or self.wanted(self.from_diffusers(tensors))


@dataclass(frozen=True)
class Family:
    """A family of checkpoints: `has_all` and one of `has_any` must be there, none of `has_none`."""

    name: str
    title: str
    parts: tuple[Part, ...]
    has_all: tuple[Telltale, ...]
    has_any: tuple[Telltale, ...] = ()
    has_none: tuple[Telltale, ...] = ()
    prediction: Prediction = "eps"
    schedule: Schedule = field(default_factory=DiffusionSchedule)
    latent: LatentFormat = field(default_factory=LatentFormat)
    """What its network sees of latents, where a file says nothing else."""

    @property
    def named(self) -> dict[str, Part]:
        """The parts by their names."""
        return {part.name: part for part in self.parts}

    def alone(self, part: str) -> Family:
        """Return the family of the files that are to give one part, whether they hold others or not."""
        sole = SolePart(**{entry.name: getattr(self.named[part], entry.name) for entry in fields(Part)})

        def of_it(telltales: tuple[Telltale, ...]) -> tuple[Telltale, ...]:
            return tuple(telltale for telltale in telltales if telltale.part == part)

        return replace(
            self,
            title=f"{sole.title} of {self.title}",
            parts=(sole,),
            has_all=of_it(self.has_all),
            has_any=of_it(self.has_any),
            has_none=of_it(self.has_none),
        )

    def split(self, tensors: Tensors, folder: bool) -> dict[str, Tensors]:
        """Return each part's tensors under our names."""
        return {part.name: part.from_folder(tensors) if folder else part.from_file(tensors) for part in self.parts}

    def problems(self, parts: Mapping[str, Tensors]) -> list[str]:
        """Return what speaks against a file being of this family; none if it is."""
        found = [problem for telltale in self.has_all if (problem := telltale.problem(parts))]
        any_of = [telltale.problem(parts) for telltale in self.has_any]
        if any_of and None not in any_of:
            found.append(" or ".join(problem for problem in any_of if problem))
        found += [f"{bad.part}: has {bad.key}" for bad in self.has_none if bad.problem(parts) is None]
        return found


def fits(shape: tuple[int, ...], pattern: Pattern) -> bool:
    """Tell whether a shape is one of a pattern's."""
    if len(shape) != len(pattern):
        return False
    pairs = zip(shape, pattern, strict=True)
    return all(size in want if isinstance(want, tuple) else want in (None, size) for size, want in pairs)


def shown(shape: Pattern) -> str:
    """Return a shape as people write it, * for any size."""
    sizes = ("|".join(map(str, size)) if isinstance(size, tuple) else size for size in shape)
    return f"[{', '.join('*' if size is None else str(size) for size in sizes)}]"
