"""A workflow checked against the node types: everything that is wrong with it at once, or the graph that can run.

Policy: each part is checked as far as it can be whatever else is wrong; what only follows from a problem told already
(a link from a node of unknown type, say) is not told. A problem within a subgraph is told once, for its first instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.engine.dissolve import OPEN, Dissolver, Given, Leaf, Scope, Target
from nodegraph.engine.document import Place, Workflow
from nodegraph.engine.errors import SHOWN, Problems, told
from nodegraph.engine.exposed import with_inputs
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Body, Graph, Instance, Source
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.modes import settle
from nodegraph.engine.order import cycles, in_order
from nodegraph.engine.registry import Registry
from nodegraph.engine.spec import InputPort, Json, NodeSpec, OutputPort, PortType
from nodegraph.engine.types import fit, list_of
from nodegraph.engine.values import MisfitError, Values, describe

__all__ = ["check"]


def check(
    workflow: Workflow,
    registry: Mapping[str, NodeSpec],
    *,
    folders: Folders | None = None,
    inputs: Mapping[str, Json] | None = None,
    limits: Limits | None = None,
) -> Graph:
    """Return the graph of a workflow, or raise `WorkflowError` with every problem.

    `inputs` sets inputs that the workflow exposes. Without `folders`, names of files are taken as they are.
    """
    problems = Problems(workflow.problems)
    workflow = with_inputs(workflow, inputs or {}, problems)
    known = registry if isinstance(registry, Registry) else Registry(registry.values())
    checker = _Checker(known, Values(folders), limits or Limits(), problems, workflow.dropped)
    graph = checker.graph(workflow)
    problems.raise_any()
    return graph


@dataclass(eq=False)
class _Part:
    """A workflow, or the body of a node, under check."""

    dissolver: Dissolver
    scope: Scope
    open: frozenset[Target] = frozenset()
    """The inputs of a body: whoever expands it gives them."""
    links: dict[str, dict[str, tuple[Source, Given]]] = field(default_factory=dict)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    fed: dict[Target, tuple[Scope, str]] = field(default_factory=dict)
    """By which outermost input of a subgraph each inner input is fed."""
    types: dict[str, Mapping[str, PortType]] = field(default_factory=dict)
    """What each node gives: lists, where it is mapped."""


class _Checker:
    """Checks a workflow and the bodies in it; what it finds goes to `problems`."""

    def __init__(
        self, registry: Registry, values: Values, limits: Limits, problems: Problems, dropped: frozenset[Place]
    ) -> None:
        self.registry, self.values, self.limits = registry, values, limits
        self.problems, self.dropped = problems, dropped
        self._told: set[tuple[Place, str, str]] = set()
        self._bodies: dict[Place, Body | None] = {}

    def graph(self, workflow: Workflow) -> Graph:
        """Check a whole workflow; the graph is good only if there are no problems."""
        dissolver = Dissolver(self.limits, self.problems, self.dropped)
        part = _Part(dissolver, dissolver.open(workflow))
        settle(dissolver, self.registry)
        nodes = self._nodes(part)
        found = {name: dissolver.output(part.scope, name) for name in workflow.outputs}
        outputs = {name: source for name, source in found.items() if source is not None}
        targets = _targets(nodes, outputs.values(), self._wanted_more(dissolver, workflow, outputs))
        return Graph(nodes, targets, outputs, workflow.dump(), dissolver.left_out)

    def _wanted_more(self, dissolver: Dissolver, workflow: Workflow, outputs: Mapping[str, Source]) -> bool:
        """Tell whether what a run would reach is left out: then nothing else is run in its place."""
        if len(outputs) < len(workflow.outputs):
            return True
        specs = (self.registry.get(type) for type in dissolver.types_left_out)
        return any(spec is not None and spec.output for spec in specs)

    def _nodes(self, part: _Part) -> dict[str, Instance]:
        self._ports(part)
        for leaf in part.dissolver.leaves.values():
            self._leaf(part, leaf)
        sources = {path: {s.node for s, _ in links.values()} for path, links in part.links.items()}
        order = in_order(sources)
        if len(order) < len(sources):
            placed = set(order)
            rest = {path: found for path, found in sources.items() if path not in placed}
            self._cycles(cycles(rest))
            order += rest
        instances = (self._instance(part, path) for path in order)
        return {instance.id: instance for instance in instances if instance is not None}

    def _cycles(self, found: Iterable[list[str]]) -> None:
        for cycle in found:
            shown = [*cycle[:12], f"... {len(cycle) - 12} more ..."] if len(cycle) > 12 else cycle
            message = f"nodes wait for each other in a cycle: {' -> '.join([*shown, cycle[0]])}"
            self.problems.report("cycle", message, node=cycle[0], got=cycle, expected="links that lead forward only")

    def _report(self, scope: Scope, place: Place, field: str, code: str, message: str, **more: Any) -> None:
        """Add a problem unless it was told for another instance of the same subgraph."""
        key = (place, field, message.replace(scope.prefix, "") if scope.prefix else message)
        if key not in self._told:
            self._told.add(key)
            self.problems.report(code, message, field=field, **more)

    def _ports(self, part: _Part) -> None:
        """Check where the inputs and outputs of the workflow and its subgraphs lead."""
        leaves, dissolver = part.dissolver.leaves, part.dissolver
        for scope in dissolver.scopes:
            if scope.off is not None:
                continue
            for name in scope.part.inputs:
                for target in dissolver.targets(scope, name):
                    part.fed.setdefault(target, (scope, name))
                    self._port(scope, name, leaves.get(target.node), target.port)
            for name in scope.part.outputs:
                source = dissolver.output(scope, name)
                if source is not None and source.node != OPEN:
                    self._output(part, source, scope, scope.place, scope.owner, f"outputs.{name}")

    def _port(self, scope: Scope, name: str, leaf: Leaf | None, port: str) -> None:
        """Check one input of a leaf that an input of a scope leads to."""
        spec = self.registry.get(leaf.type) if leaf else None
        if leaf is None or spec is None:
            return
        where, place = f"inputs.{name}", (*scope.place, "inputs", name)
        if port not in spec.inputs:
            message, near = f"{leaf.path!r} ({spec.id}) has no input {port!r}", self.problems.hint(port, spec.inputs)
            self._report(scope, place, where, "unknown_input", message, node=scope.owner, got=port, nearest=near)
        elif not scope.chain and not spec.inputs[port].type.data and not spec.inputs[port].body:
            message = f"leads to {leaf.path}.{port}, which cannot be typed: it takes {describe(spec.inputs[port].type)}"
            self._report(scope, place, where, "wire_only", message, node=scope.owner)

    def _leaf(self, part: _Part, leaf: Leaf) -> None:
        """Check what a node is given, by itself."""
        links = part.links[leaf.path] = {}
        params = part.params[leaf.path] = {}
        meant: set[str | None] = set()
        spec = self.registry.get(leaf.type)
        if spec is None:
            self._unknown_type(leaf)
        for name, given in leaf.given.items():
            port = spec.inputs.get(name) if spec else None
            if spec is not None and port is None:
                meant.add(self._unknown_port(spec, name, given))
            elif port is not None and port.body:
                params[name] = self._body(leaf, given)
            elif given.kind == "link":
                source = part.dissolver.source(given.scope, given.value, given.node, given.field)
                if source is not None:
                    links[name] = (source, given)
            elif port is not None:
                self._param(port, given, params)
        for port in spec.inputs.values() if spec else ():
            if port.name in leaf.given or port.name in meant:
                continue
            if port.required:
                self._missing(part, leaf, port)
            elif port.file is not None and isinstance(port.default, str):  # a file that may not be there
                where = f"params.{port.name}"
                self._param(port, Given("param", port.default, leaf.scope, leaf.place, leaf.path, where), params)

    def _unknown_type(self, leaf: Leaf) -> None:
        absent = self.registry.why_absent(leaf.type)
        near = None
        if len(self.problems) < SHOWN and not absent:
            near = self.registry.nearest(leaf.type)
        message = f"unknown node type {leaf.type!r}" + (f"; {absent}" if absent else "")
        more = {"node": leaf.path, "got": leaf.type, "nearest": near}
        self._report(leaf.scope, leaf.place, "type", "unknown_node_type", message, **more)

    def _unknown_port(self, spec: NodeSpec, name: str, given: Given) -> str | None:
        """Report an input that the type lacks and return the one that was probably meant."""
        known = spec.inputs
        what = f"its inputs are {', '.join(map(repr, known))}" if known else "it has no inputs"
        message, near = f"{spec.id} has no input {name!r}; {what}", self.problems.hint(name, known)
        self._report(
            given.scope, given.place, given.field, "unknown_input", message, node=given.node, got=name, nearest=near
        )
        return near

    def _param(self, port: InputPort, given: Given, params: dict[str, Any]) -> None:
        try:
            value = self.values.check(port, given.value)
        except MisfitError as misfit:
            more = {"got": given.value, "expected": misfit.expected, "nearest": misfit.nearest}
            self._report(given.scope, given.place, given.field, misfit.code, misfit.message, node=given.node, **more)
            return
        if type(value) is not type(port.default) or value != port.default:
            params[port.name] = value

    def _missing(self, part: _Part, leaf: Leaf, port: InputPort) -> None:
        """Report an input that nothing is given for, at the place where a person would give it."""
        target = Target(leaf.path, port.name)
        left_out = {(*leaf.place, kind, *name) for kind in ("params", "links") for name in ((), (port.name,))}
        if target in part.open or not self.dropped.isdisjoint(left_out):
            return
        kind = "params" if port.type.data or port.body else "links"
        expected = "the name of a subgraph" if port.body else describe(port.type)
        node, name, place = leaf.path, port.name, leaf.place
        message = f"missing; expected {expected}"
        if target in part.fed:
            scope, outer = part.fed[target]
            if scope.owner is None:
                message += f" (the workflow's input {outer!r} sets it)"
            else:
                node, name, place = scope.owner, outer, (scope.owner,)
        self._report(leaf.scope, place, f"{kind}.{name}", "missing_input", message, node=node, expected=expected)

    def _output(
        self, part: _Part, source: Source, scope: Scope, place: Place, node: str | None, where: str
    ) -> PortType | None:
        """Return the type that a source gives; None, and a problem, where the node has no such output."""
        leaf = part.dissolver.leaves[source.node]
        spec = self.registry.get(leaf.type)
        if spec is None:
            return None
        if source.output in spec.outputs:
            return part.types.get(source.node, {}).get(source.output) or spec.outputs[source.output].type
        known = spec.outputs
        what = f"its outputs are {', '.join(map(repr, known))}" if known else "it has no outputs"
        near = next(iter(known)) if len(known) == 1 else self.problems.hint(source.output, known)
        message = f"{source.node!r} ({spec.id}) has no output {source.output!r}; {what}"
        hint = f"{source.node}.{near}" if near else None
        self._report(scope, place, where, "unknown_output", message, node=node, got=".".join(source), nearest=hint)
        return None

    def _instance(self, part: _Part, path: str) -> Instance | None:
        """Check the types of a node's links and return it; its sources have been before it."""
        spec = self.registry.get(part.dissolver.leaves[path].type)
        mapped: list[str] = []
        for name, (source, given) in part.links[path].items():
            kind = self._output(part, source, given.scope, given.place, given.node, given.field)
            if kind is None or spec is None:
                continue
            port = spec.inputs[name]
            how = fit(kind, port.type)
            if how == "mapped" and not port.lazy:
                mapped.append(name)
            elif how != "whole":
                self._wrong_link(part, source, given, kind, port)
        if spec is None:
            return None
        outputs = {name: list_of(output.type) if mapped else output.type for name, output in spec.outputs.items()}
        part.types[path] = outputs
        links = {name: source for name, (source, _) in part.links[path].items()}
        return Instance(path, spec, part.params[path], links, tuple(mapped))

    def _wrong_link(self, part: _Part, source: Source, given: Given, kind: PortType, port: InputPort) -> None:
        expected = port.type.name
        message = f"got {'.'.join(source)} of type {kind.name}; expected {expected}"
        if port.lazy and kind.item is not None and fit(kind.item, port.type):
            message += " (a lazy input cannot be taken item by item from a list)"
        elif kind.item is not None and kind.item.item is not None and fit(kind.item.item, port.type):
            message += " (a node runs once an item of a list, not of a list of lists)"
        hint = None
        if given.scope.prefix + given.value == ".".join(
            source
        ):  # not through a subgraph, whose outputs have names of their own
            types = part.types.get(source.node, {})
            fitting = [name for name, other in types.items() if fit(other, port.type)]
            hint = f"{given.value.partition('.')[0]}.{fitting[0]}" if len(fitting) == 1 else None
        more = {"got": given.value, "expected": expected, "nearest": hint}
        self._report(given.scope, given.place, given.field, "wrong_link", message, node=given.node, **more)

    def _body(self, leaf: Leaf, given: Given) -> Body | None:
        """Check the subgraph that a parameter names."""
        if given.kind == "link" or not isinstance(given.value, str):
            message = f"got {'a link' if given.kind == 'link' else told(given.value)}; expected the name of a subgraph"
            self._report(given.scope, given.place, given.field, "wrong_type", message, node=given.node, got=given.value)
            return None
        found = given.scope.find(given.value)
        if found is not None and found[1] in self._bodies and found[1] not in given.scope.within:
            return self._bodies[found[1]]
        dissolver = Dissolver(self.limits, self.problems, self.dropped)
        prefix = f"{leaf.path}/"
        scope = dissolver.open_body(given, prefix)
        if scope is None:
            return None
        self._bodies[scope.place] = None
        opened = {name: tuple(dissolver.targets(scope, name)) for name in scope.part.inputs}
        opened = settle(dissolver, self.registry, opened)
        part = _Part(dissolver, scope, frozenset(target for targets in opened.values() for target in targets))
        nodes = self._nodes(part)
        self._given_back(part)
        self._bodies[scope.place] = _body(part, opened, nodes, prefix)
        return self._bodies[scope.place]

    def _given_back(self, part: _Part) -> None:
        """Report outputs of a body that would be its own inputs, as what makes them is bypassed."""
        scope = part.scope
        for name in scope.part.outputs:
            source = part.dissolver.output(scope, name)
            if source is not None and source.node == OPEN:
                message = f"the subgraph {scope.chain[-1]!r} would give back its input {source.output!r} as {name!r}"
                message += ": a node is bypassed that a body needs"
                self._report(scope, scope.place, f"outputs.{name}", "bypassed_body", message, node=scope.owner)


def _body(part: _Part, opened: Mapping[str, tuple[Target, ...]], nodes: Mapping[str, Instance], prefix: str) -> Body:
    """Return a checked body, its nodes named as within the subgraph."""
    inner = {}
    for path, node in nodes.items():
        links = {name: Source(source.node.removeprefix(prefix), source.output) for name, source in node.links.items()}
        inner[path.removeprefix(prefix)] = replace(node, id=path.removeprefix(prefix), links=links)
    targets = {name: tuple((t.node.removeprefix(prefix), t.port) for t in found) for name, found in opened.items()}
    inputs, outputs, sources = {}, {}, {}
    for name, found in targets.items():
        ports = [inner[node].spec.inputs.get(port) for node, port in found if node in inner]
        if ports and ports[0] is not None:
            inputs[name] = replace(ports[0], name=name)
    for name in part.scope.part.outputs:
        source = part.dissolver.output(part.scope, name)
        kind = part.types.get(source.node, {}).get(source.output) if source else None
        if source is not None and kind is not None:
            outputs[name] = OutputPort(name, kind)
            sources[name] = Source(source.node.removeprefix(prefix), source.output)
    return Body(part.scope.chain[-1], inner, inputs, targets, outputs, sources)


def _targets(nodes: Mapping[str, Instance], outputs: Iterable[Source], wanted_more: bool) -> tuple[str, ...]:
    """Return what a run must reach: sinks and exposed outputs or, where there were none, what nothing reads."""
    exposed = {source.node for source in outputs}
    wanted = tuple(id for id, node in nodes.items() if node.spec.output or id in exposed)
    if wanted or wanted_more:
        return wanted
    read = {source.node for node in nodes.values() for source in node.links.values()}
    return tuple(id for id in nodes if id not in read)
