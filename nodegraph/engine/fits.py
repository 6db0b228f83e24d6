"""Which outputs fit which inputs, by the names of their types: for who draws nodes and knows no Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from nodegraph.engine.spec import NodeSpec, PortType
from nodegraph.engine.types import fit, list_of

NamedFit = Literal["whole", "each"]
_NAMES: Final[dict[str, NamedFit]] = {"whole": "whole", "mapped": "each"}


def fits(specs: Iterable[NodeSpec]) -> dict[str, dict[str, NamedFit]]:
    """Return, for each type of an output, the types of inputs that it fits: as it is, or item by item (`each`).

    Each type may also come as a list, of a node that is run once an item. Types of one name that are not the same fit
    where any of them does; the check of a workflow knows better.
    """
    sources: dict[str, list[PortType]] = {}
    targets: dict[str, list[PortType]] = {}
    for spec in specs:
        for output in spec.outputs.values():
            for type in (output.type, list_of(output.type)):
                _add(sources, type)
        for port in spec.inputs.values():
            if not port.body:
                _add(targets, port.type)
    table = {}
    for source in sorted(sources):
        row = {target: _fit(sources[source], targets[target]) for target in sorted(targets)}
        table[source] = {target: _NAMES[found] for target, found in row.items() if found is not None}
    return table


def _add(types: dict[str, list[PortType]], type: PortType) -> None:
    named = types.setdefault(type.name, [])
    if type not in named:
        named.append(type)


def _fit(sources: list[PortType], targets: list[PortType]) -> Literal["whole", "mapped"] | None:
    found = {fit(source, target) for source in sources for target in targets}
    return "whole" if "whole" in found else "mapped" if "mapped" in found else None
