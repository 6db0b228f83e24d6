"""Nodes that are switched off: which nodes are left out for it, and what passes through those that are bypassed.

A muted node is left out, and so is each node with a required input that only it would give; an input that need not be
given is then simply not wired. A bypassed node is left out too, but each of its outputs is what comes in on its first
wired input of the same type, else on the first whose type fits. An instance of a subgraph is switched as one node.
What remains is the graph of a file that never had these nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.engine.dissolve import OPEN, Dissolver, Given, Leaf, Scope, Target
from nodegraph.engine.graph import Source
from nodegraph.engine.order import in_order
from nodegraph.engine.registry import Registry
from nodegraph.engine.spec import PortType
from nodegraph.engine.types import fit, port_type, without_none

WORDS = {"mute": "muted", "bypass": "bypassed"}


def settle(
    dissolver: Dissolver, registry: Registry, opened: Mapping[str, tuple[Target, ...]] | None = None
) -> dict[str, tuple[Target, ...]]:
    """Take what is switched off out of a dissolved graph; return where the open inputs of a body lead from then on."""
    opened = opened or {}
    if not dissolver.switched:
        return dict(opened)
    return _Settling(dissolver, registry, opened).settle()


@dataclass(eq=False)
class _Unit:
    """What is left out or kept as one: a node, or an instance of a subgraph that is switched off."""

    path: str
    mode: str | None
    given: Mapping[str, Given]
    leaf: Leaf | None
    scope: Scope | None
    """The inside of an instance."""
    sources: dict[str, Source] = field(default_factory=dict)
    """What is wired, by input, once that is known."""
    lost: dict[str, Source] = field(default_factory=dict)
    """What would be wired, were it not left out."""


class _Settling:
    def __init__(self, dissolver: Dissolver, registry: Registry, opened: Mapping[str, tuple[Target, ...]]) -> None:
        self._dissolver, self._registry = dissolver, registry
        self._opened = {name: list(targets) for name, targets in opened.items()}
        self._names: dict[Target, str] = {}
        for name, targets in opened.items():
            for target in targets:
                self._names.setdefault(target, name)
        self._units = {unit.path: unit for unit in self._found()}

    def _found(self) -> Iterator[_Unit]:
        for leaf in self._dissolver.leaves.values():
            if leaf.scope.off is None:
                yield _Unit(leaf.path, leaf.mode, leaf.given, leaf, None)
        for scope in self._dissolver.scopes:
            if scope.off is scope:
                yield _Unit(scope.owner or "", scope.mode, scope.given, None, scope)

    def settle(self) -> dict[str, tuple[Target, ...]]:
        ends = {path: {end.node for end in self._ends(unit)} for path, unit in self._units.items()}
        for path in in_order(ends):  # those on a cycle stay as they are: the check tells it
            self._unit(self._units[path])
        out, leaves = self._dissolver.left_out, self._dissolver.leaves
        paths = dict.fromkeys((*self._units, *leaves))  # as in the file
        for path, leaf in list(leaves.items()):
            around = leaf.scope.off.owner if leaf.scope.off is not None else None
            if around is not None and around in out:
                out[path] = f"{around!r} is {WORDS[str(self._units[around].mode)]}"
            if path in out:
                self._dissolver.types_left_out.add(leaf.type)
                del leaves[path]
        self._dissolver.left_out = {path: out[path] for path in paths if path in out}
        return {name: tuple(t for t in found if t.node in leaves) for name, found in self._opened.items()}

    def _ends(self, unit: _Unit) -> Iterator[Source]:
        for given in unit.given.values():
            for one in _chain(given):
                end = self._end(one) if one.kind == "link" else None
                if end is not None:
                    yield end

    def _end(self, given: Given) -> Source | None:
        """Return the unit and output that a link leads to; None where it leads nowhere, which the check tells."""
        return self._within(given.scope, str(given.value))

    def _within(self, scope: Scope, link: str) -> Source | None:
        while True:
            id, _, output = link.partition(".")
            child = scope.instances.get(id)
            if child is None:
                path = f"{scope.prefix}{id}"
                return Source(path, output) if path in self._dissolver.leaves else None
            if child.off is child:
                return Source(f"{scope.prefix}{id}", output)
            if output not in child.part.outputs:
                return None
            scope, link = child, child.part.outputs[output]

    def _unit(self, unit: _Unit) -> None:
        given = self._wire(unit)
        out = self._dissolver.left_out
        if unit.mode is not None:
            out[unit.path] = f"it is {WORDS[unit.mode]}"
            if unit.mode == "bypass":
                self._bypass(unit)
            return
        spec = self._registry.get(unit.leaf.type) if unit.leaf else None
        for name, source in unit.lost.items():
            port = spec.inputs.get(name) if spec else None
            if port is not None and port.required and Target(unit.path, name) not in self._names:
                out[unit.path] = f"its input {name!r} needs {source.node!r}, which is {self._what(source)}"
                return
        if unit.leaf is not None:
            self._dissolver.leaves[unit.path] = replace(unit.leaf, given=given)
        for name, source in unit.sources.items():
            if source.node == OPEN:
                self._opened[source.output].append(Target(unit.path, name))

    def _what(self, source: Source) -> str:
        mode = self._units[source.node].mode if source.node in self._units else None
        return "left out too" if mode is None else WORDS[mode] + (" and has nothing to pass on" * (mode == "bypass"))

    def _wire(self, unit: _Unit) -> dict[str, Given]:
        """Return what a unit is still given, and note what comes by wire."""
        kept: dict[str, Given] = {}
        for name, given in unit.given.items():
            if unit.mode is not None and Target(unit.path, name) in self._names:
                continue
            for one in _chain(given):
                end = self._end(one) if one.kind == "link" else None
                if end is None:  # typed, or leading nowhere
                    kept[name] = one
                    break
                source = self._source(end)
                if source is not None:
                    unit.sources[name] = source
                    if source.node != OPEN:
                        kept[name] = one
                    break
            else:
                unit.lost[name] = self._end(given) or Source("", "")
        for target, name in self._names.items():
            if target.node == unit.path and unit.mode is not None:
                unit.sources[target.port] = Source(OPEN, name)
        return kept

    def _source(self, end: Source) -> Source | None:
        if end in self._dissolver.passed:
            return self._dissolver.passed[end]
        return None if end.node in self._dissolver.left_out else end

    def _bypass(self, unit: _Unit) -> None:
        """Note what each output of a bypassed unit passes on."""
        inputs, outputs = self._ports(unit)
        wired = {name: kind for name, kind in inputs.items() if name in unit.sources}
        for output, kind in outputs.items():
            same = (name for name, other in wired.items() if other.name == kind.name)
            fitting = (name for name, other in wired.items() if other.name != "any" and fit(other, kind) == "whole")
            name = next(same, None) or next(fitting, None)
            if name is not None:
                self._dissolver.passed[Source(unit.path, output)] = unit.sources[name]

    def _ports(self, unit: _Unit) -> tuple[dict[str, PortType], dict[str, PortType]]:
        """Return the types of a unit's inputs and outputs, as far as they are known."""
        if unit.scope is None:
            spec = self._registry.get(unit.leaf.type) if unit.leaf else None
            if spec is None:
                return {}, {}
            return (
                {name: _given_type(port.type) for name, port in spec.inputs.items()},
                {name: port.type for name, port in spec.outputs.items()},
            )
        inputs, outputs = {}, {}
        for name in unit.scope.part.inputs:
            for target in self._dissolver.targets(unit.scope, name):
                found = self._type(target.node, "inputs", target.port)
                if found is not None:
                    inputs[name] = _given_type(found)
                    break
        for name, link in unit.scope.part.outputs.items():
            end = self._within(unit.scope, link)
            found = self._type(end.node, "outputs", end.output) if end else None
            if found is not None:
                outputs[name] = found
        return inputs, outputs

    def _type(self, path: str, side: str, name: str) -> PortType | None:
        leaf = self._dissolver.leaves.get(path)
        spec = self._registry.get(leaf.type) if leaf else None
        port: Any = getattr(spec, side).get(name) if spec else None
        return port.type if port is not None else None


def _given_type(kind: PortType) -> PortType:
    """Return the type of what comes in where something does: `Image` for `Image | None`."""
    return port_type(without_none(kind.annotation))


def _chain(given: Given) -> Iterator[Given]:
    """Give what stands for an input, and what would if that were not there."""
    one: Given | None = given
    while one is not None:
        yield one
        one = one.fallback
