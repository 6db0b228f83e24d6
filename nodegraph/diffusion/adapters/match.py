"""Find which tensors of a network an adapter's layers change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from nodegraph.diffusion.adapters.delta import Delta, Shape
from nodegraph.diffusion.adapters.layouts import others, stable_diffusion
from nodegraph.diffusion.adapters.naming import Naming, Sign, modules_of, unwrapped
from nodegraph.diffusion.adapters.read import Adapter, AdapterError, Layer
from nodegraph.diffusion.weights.errors import shortened
from nodegraph.diffusion.weights.family import shown

NAMINGS: tuple[Naming, ...] = stable_diffusion.NAMINGS
SIGNS: tuple[Sign, ...] = (*others.SIGNS, *stable_diffusion.SIGNS)

Shapes = Mapping[str, Mapping[str, Shape]]
"""The shapes of a model's tensors under our names, by part: `unet`, `clip` (`clip_l` and `clip_g` for SDXL)."""


class AdapterMismatchError(AdapterError):
    """An adapter that fits nothing of a model; `family` is the one that it was made for, if that can be told."""

    def __init__(self, matched: Matched) -> None:
        self.family = matched.family
        super().__init__(matched.path, matched.summary)


@dataclass(frozen=True, eq=False)
class Matched:
    """What an adapter changes in a model: `entries`, by part and name of the tensor.

    `fitted` are the names of the file's tensors that are used; `unfitted` the layers that are not, each with the
    reason; `elsewhere` the layers of parts that were not asked for. `family` is the title of the family that the
    adapter was made for, None where nothing tells; `shapes` are those of the model's tensors.
    """

    path: Path
    entries: Mapping[str, Mapping[str, Delta]]
    fitted: tuple[str, ...]
    unfitted: Mapping[str, str]
    elsewhere: tuple[str, ...]
    family: str | None
    metadata: Mapping[str, str]
    shapes: Shapes

    @cached_property
    def layers(self) -> int:
        """How many layers fit."""
        return sum(len(modules_of(deltas)) for deltas in self.entries.values())

    @property
    def summary(self) -> str:
        """Say how much fits, and what the adapter is for where that is not all."""
        total = self.layers + len(self.unfitted)
        told = f"{self.layers} of its {total} layers fit this model"
        if self.unfitted:
            made_for = f"it was made for {self.family}" if self.family else "it was made for another kind of model"
            reasons = [f"{layer} {reason}" for layer, reason in self.unfitted.items()]
            told = f"{told}; {made_for}: {shortened(reasons)}"
        return told

    def checked(self) -> Matched:
        """Return this; raise AdapterMismatchError where nothing fits of what was asked for."""
        if self.unfitted and not self.layers:
            raise AdapterMismatchError(self)
        return self


def match(adapter: Adapter, shapes: Shapes) -> Matched:
    """Fit an adapter to a model's tensors; what does not fit is told, never guessed."""
    index = _index(tuple((part, frozenset(modules_of(tensors))) for part, tensors in shapes.items()))
    entries: dict[str, dict[str, Delta]] = {part: {} for part in shapes}
    fitted: list[str] = []
    unfitted: dict[str, str] = {}
    elsewhere: list[str] = []
    for layer in adapter.layers:
        name = unwrapped(layer.name)
        if name not in index:
            if _is_elsewhere(name, shapes):
                elsewhere.append(layer.name)
            else:
                unfitted[layer.name] = "is no layer of it"
            continue
        part, module = index[name]
        problem = _fit(layer, module, shapes[part], entries[part])
        if problem is None:
            fitted += layer.keys
        else:
            unfitted[layer.name] = problem
    family = family_of(adapter)
    return Matched(adapter.path, entries, tuple(fitted), unfitted, tuple(elsewhere), family, adapter.metadata, shapes)


def family_of(adapter: Adapter) -> str | None:
    """Return the title of the family that an adapter was made for, by the names and sizes of its layers."""
    sizes = [(unwrapped(layer.name), _size(layer)) for layer in adapter.layers]
    for sign in SIGNS:
        pattern = re.compile(sign.pattern)
        if any(_fits(size, sign.size) and pattern.search(name) for name, size in sizes):
            return sign.title
    return None


@lru_cache(maxsize=8)
def _index(parts: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, tuple[str, str]]:
    """Return part and layer for all that files may call the layers of a model's parts; the first of a name counts."""
    modules, index = dict(parts), dict[str, tuple[str, str]]()
    for naming in NAMINGS:
        for name, module in naming.names(modules[naming.part]) if naming.part in modules else ():
            index.setdefault(name, (naming.part, module))
    return index


def _is_elsewhere(name: str, shapes: Shapes) -> bool:
    """Tell whether a layer's name starts as those of a part that is not asked for do."""
    claims = [(prefix, naming.part) for naming in NAMINGS for prefix in naming.prefixes if name.startswith(prefix)]
    if not claims:
        return False
    longest = max(len(prefix) for prefix, _ in claims)
    return not {part for prefix, part in claims if len(prefix) == longest} & shapes.keys()


def _fit(layer: Layer, module: str, shapes: Mapping[str, Shape], entries: dict[str, Delta]) -> str | None:
    """Add a layer's changes under our names; return why one does not fit, and then add none."""
    found: dict[str, Delta] = {}
    for leaf, delta in layer.deltas.items():
        target = f"{module}.{leaf}"
        if target not in shapes:
            return f"changes a {leaf}, and {module} has none"
        if target in entries:
            return f"changes {target} again"
        fitting = delta.fitted(tuple(shapes[target]))
        if fitting is None:
            got = f"is for {shown(delta.size)}" if delta.size else "has another size"
            return f"{got}, {target} is {shown(tuple(shapes[target]))}"
        found[target] = fitting
    entries.update(found)
    return None


def _size(layer: Layer) -> tuple[int, int] | None:
    weight = layer.deltas.get("weight")
    return None if weight is None else weight.size


def _fits(size: tuple[int, int] | None, pattern: tuple[int | None, int | None]) -> bool:
    if pattern == (None, None):
        return True
    return size is not None and all(want in (None, got) for got, want in zip(size, pattern, strict=True))
