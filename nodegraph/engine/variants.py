"""One workflow checked with many sets of inputs: what they have in common is checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.engine.check import check
from nodegraph.engine.dissolve import Dissolver
from nodegraph.engine.document import Workflow
from nodegraph.engine.errors import Problems
from nodegraph.engine.exposed import with_inputs
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph
from nodegraph.engine.jsontext import Limits, json_problems
from nodegraph.engine.spec import InputPort, Json, NodeSpec
from nodegraph.engine.values import MisfitError, Values

MOST_BASES = 16
"""Sets of names for which a checked graph is kept."""
Place = tuple[str, str]
"""A node of the file and its parameter."""


@dataclass(frozen=True)
class _Base:
    """A graph that was checked with some inputs, and which inputs of its nodes each place sets."""

    graph: Graph
    fed: Mapping[Place, tuple[tuple[str, InputPort], ...]]


class Variants:
    """Gives the graphs of a workflow by its inputs, each as `check` would.

    A set of inputs that has the same names as one before differs from it in values of parameters alone: links, types
    and order stay, unless a value is the name of a subgraph. Files and choices are looked up once.
    """

    def __init__(
        self,
        workflow: Workflow,
        registry: Mapping[str, NodeSpec],
        *,
        folders: Folders | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._workflow, self._registry = workflow, registry
        self._folders, self._limits = folders, limits or Limits()
        self._values = Values(folders)
        self._bases: dict[frozenset[str], _Base] = {}

    def graph(self, inputs: Mapping[str, Json]) -> Graph:
        """Return the graph with these inputs; raise `WorkflowError` with every problem."""
        names = frozenset(inputs)
        base = self._bases.get(names)
        found = None if base is None else self._varied(base, inputs)
        if found is not None:
            return found
        graph = check(self._workflow, self._registry, folders=self._folders, inputs=inputs, limits=self._limits)
        if base is None and len(self._bases) < MOST_BASES:
            self._bases[names] = _Base(graph, self._fed(inputs))
        return graph

    def _places(self, name: str) -> Iterator[Place]:
        """Give the parameters of the file that an input sets."""
        for target in self._workflow.targets(name) if name in self._workflow.inputs else (name,):
            node, _, port = target.partition(".")
            if node in self._workflow.nodes:
                yield node, port

    def _fed(self, inputs: Mapping[str, Json]) -> dict[Place, tuple[tuple[str, InputPort], ...]]:
        """Return what each place that is set feeds, in the end: a parameter of a subgraph may lead to several nodes."""
        dissolver = Dissolver(self._limits, Problems(), self._workflow.dropped)
        root = dissolver.open(with_inputs(self._workflow, inputs, Problems()))
        fed: dict[Place, list[tuple[str, InputPort]]] = {place: [] for name in inputs for place in self._places(name)}
        for leaf in dissolver.leaves.values():
            for name, given in leaf.given.items():
                place = (given.node, given.field.removeprefix("params."))
                if given.kind == "param" and given.scope is root and place in fed:
                    fed[place].append((leaf.path, self._registry[leaf.type].inputs[name]))
        return {place: tuple(found) for place, found in fed.items()}

    def _varied(self, base: _Base, inputs: Mapping[str, Json]) -> Graph | None:
        """Return the base's graph with other values; None where one does not fit, or may change more than itself."""
        params: dict[str, dict[str, Any]] = {}
        written: dict[str, dict[str, Json]] = {}
        for name, value in inputs.items():
            if next(json_problems(value, Limits().depth), None) is not None:
                return None
            for place in self._places(name):
                written.setdefault(place[0], {})[place[1]] = value
                for path, port in base.fed[place]:
                    if path not in base.graph.nodes:  # it is left out
                        continue
                    if port.body:
                        return None
                    changed = params.setdefault(path, dict(base.graph.nodes[path].params))
                    try:
                        _set(changed, port, self._values.check(port, value))
                    except MisfitError:
                        return None
        varied = {path: replace(base.graph.nodes[path], params=changed) for path, changed in params.items()}
        document = _document(base.graph.document, written)
        return replace(base.graph, nodes={**base.graph.nodes, **varied}, document=document)


def _set(params: dict[str, Any], port: InputPort, value: Any) -> None:
    """Note a value unless it is the default."""
    if type(value) is not type(port.default) or value != port.default:
        params[port.name] = value
    else:
        params.pop(port.name, None)


def _document(document: Mapping[str, Json], written: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    nodes = dict(document["nodes"])
    for id, params in written.items():
        nodes[id] = {**nodes[id], "params": {**nodes[id].get("params", {}), **params}}
    return {**document, "nodes": nodes}
