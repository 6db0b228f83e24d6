"""Subgraphs dissolved: nested instances become one flat set of nodes, and each name leads where it leads in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from nodegraph.engine.document import Mode, NodeEntry, Place, Subgraph, Workflow
from nodegraph.engine.errors import Problems, told
from nodegraph.engine.graph import Source
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.spec import Json

OPEN: Final = ""
"""Stands in place of a node where a source is an input of the body that is dissolved."""


class Level(NamedTuple):
    """Subgraphs that are defined side by side, and where in the file."""

    place: Place
    subgraphs: Mapping[str, Subgraph]


@dataclass(eq=False)
class Scope:
    """The nodes of the workflow, or of one instance of a subgraph: the names that links within it may use."""

    part: Subgraph
    place: Place
    """Where in the file its nodes are written."""
    prefix: str
    """What comes before the ids of its nodes: `upscale/`."""
    levels: tuple[Level, ...]
    """The subgraphs in reach, innermost first."""
    chain: tuple[str, ...] = ()
    """The names of the subgraphs that this is within, its own last."""
    within: tuple[Place, ...] = ()
    """Where these are defined."""
    instances: dict[str, Scope] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    """Links resolved so far, by their text."""
    outputs: dict[str, Source | None] = field(default_factory=dict)
    """Its own outputs resolved so far."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """What its instance is given."""
    mode: Mode | None = None
    off: Scope | None = None
    """The outermost instance that is switched off, among this and those around it."""

    @property
    def owner(self) -> str | None:
        """Return the path of the instance that this is, None for the workflow."""
        return self.prefix.removesuffix("/") or None

    def find(self, name: str) -> tuple[Subgraph, Place, tuple[Level, ...]] | None:
        """Find a subgraph in reach, and what is in reach of itself."""
        for index, level in enumerate(self.levels):
            if name in level.subgraphs:
                place = (*level.place, "subgraphs", name)
                subgraph = level.subgraphs[name]
                return subgraph, place, (Level(place, subgraph.subgraphs), *self.levels[index:])
        return None

    def names(self) -> set[str]:
        """Return the names of the subgraphs in reach."""
        return {name for level in self.levels for name in level.subgraphs}


@dataclass(frozen=True, slots=True)
class Given:
    """What the file says for an input: a value typed or a link, and where it says so."""

    kind: Literal["param", "link"]
    value: Json
    scope: Scope
    """Where a link's names are looked up."""
    place: Place
    node: str
    field: str
    fallback: Given | None = None
    """What the file says further in, which holds where this comes from a node that is left out."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node of a type, with what it is given."""

    path: str
    type: str
    given: Mapping[str, Given]
    scope: Scope
    place: Place
    mode: Mode | None = None


class Target(NamedTuple):
    """An input of a leaf that an input of a subgraph leads to in the end."""

    node: str
    port: str


class Dissolver:
    """Dissolves the subgraphs of a workflow, or one that a node gets as its body."""

    def __init__(self, limits: Limits, problems: Problems, dropped: frozenset[Place]) -> None:
        self.limits, self.problems, self.dropped = limits, problems, dropped
        self.leaves: dict[str, Leaf] = {}
        self.scopes: list[Scope] = []
        self.switched = False
        """Whether a node is muted or bypassed."""
        self.left_out: dict[str, str] = {}
        """Nodes and instances that are left out, and why; filled by `modes.settle`."""
        self.types_left_out: set[str] = set()
        self.passed: dict[Source, Source] = {}
        """What outputs of bypassed nodes pass on."""
        self._told: set[tuple[Place, str, str, str]] = set()

    def open(self, workflow: Workflow) -> Scope:
        """Dissolve a whole workflow."""
        scope = Scope(workflow, (), "", (Level((), workflow.subgraphs),))
        self._fill(scope, {})
        return scope

    def open_body(self, given: Given, prefix: str) -> Scope | None:
        """Dissolve the subgraph that a node's parameter names as its body, the body's inputs left open."""
        body = self._enter(given.scope, str(given.value), prefix, given.node, given.field)
        if body is not None:
            self._fill(body, {})
        return body

    def _fill(self, scope: Scope, feeds: Mapping[str, Mapping[str, Given]]) -> None:
        """Take in the nodes of a scope; `feeds` is what its instance gives for its nodes' inputs."""
        self.scopes.append(scope)
        for id, entry in scope.part.nodes.items():
            self._refuse_too_many()
            path, place = f"{scope.prefix}{id}", (*scope.place, "nodes", id)
            given = _laid_over(self._written(scope, path, place, entry), feeds.get(id, {}))
            self.switched |= entry.mode is not None
            if entry.graph is None:
                self.leaves[path] = Leaf(path, entry.type or "", given, scope, place, entry.mode)
                continue
            child = self._enter(scope, entry.graph, f"{path}/", path, "graph")
            if child is not None:
                scope.instances[id] = child
                child.given, child.mode = given, entry.mode
                child.off = scope.off or (child if entry.mode else None)
                self._fill(child, self._feeds(child, given))

    def _refuse_too_many(self) -> None:
        """Raise what was found so far: of a part of the nodes nothing can be told."""
        if len(self.leaves) + len(self.scopes) > self.limits.nodes:
            message = f"with its subgraphs dissolved the workflow has more than {self.limits.nodes} nodes"
            self.problems.report("too_many_nodes", message)
            self.problems.raise_any()

    def _written(self, scope: Scope, path: str, place: Place, entry: NodeEntry) -> dict[str, Given]:
        given: dict[str, Given] = {}
        for name, value in entry.params.items():
            given[name] = Given("param", value, scope, place, path, f"params.{name}")
        for name, link in entry.links.items():
            if name in given:
                message = f"{name!r} stands in params and in links; an input is either typed or wired"
                self._report(scope, "given_twice", message, path, f"links.{name}", got=link)
            given[name] = Given("link", link, scope, place, path, f"links.{name}")
        return given

    def _enter(self, scope: Scope, name: str, prefix: str, node: str, where: str) -> Scope | None:
        """Return the scope of a new instance of a subgraph; None, and a problem, where there cannot be one."""
        found = scope.find(name)
        if found is None:
            if not any((*level.place, "subgraphs", name) in self.dropped for level in scope.levels):
                known = scope.names()
                what = f"the subgraphs in reach are {listed(known)}" if known else "no subgraph is in reach"
                message, near = f"unknown subgraph {name!r}; {what}", self.problems.hint(name, known)
                self._report(scope, "unknown_subgraph", message, node, where, got=name, nearest=near)
            return None
        subgraph, place, levels = found
        if place in scope.within:
            loop = " -> ".join((*scope.chain[scope.within.index(place) :], name))
            message = f"the subgraph {name!r} holds itself: {loop}"
            self._report(scope, "recursive_subgraph", message, node, where, got=name)
            return None
        if len(scope.chain) >= self.limits.nesting:
            message = f"subgraphs are nested more than {self.limits.nesting} deep"
            self._report(scope, "too_deep", message, node, where, got=name)
            return None
        return Scope(subgraph, place, prefix, levels, (*scope.chain, name), (*scope.within, place))

    def _feeds(self, child: Scope, given: Mapping[str, Given]) -> dict[str, dict[str, Given]]:
        """Return what an instance gives, by the nodes and inputs that receive it."""
        feeds: dict[str, dict[str, Given]] = {}
        for name, value in given.items():
            if name in child.part.inputs:
                for target in child.part.targets(name):
                    node, _, port = target.partition(".")
                    feeds.setdefault(node, {})[port] = value
            elif (*child.place, "inputs", name) not in self.dropped:
                known = child.part.inputs
                what = f"its inputs are {listed(known)}" if known else "it has no inputs"
                message, near = (
                    f"the subgraph {child.chain[-1]!r} has no input {name!r}; {what}",
                    self.problems.hint(name, known),
                )
                self.problems.report("unknown_input", message, node=value.node, field=value.field, nearest=near)
        return feeds

    def source(self, scope: Scope, link: str, node: str | None, where: str) -> Source | None:
        """Return the leaf and output that a link comes from; None, and a problem, where it leads nowhere."""
        if link in scope.sources:
            return scope.sources[link]
        found = self._node(scope, link, node, where)
        if found is None:
            return None
        id, output = found
        child = scope.instances.get(id)
        source: Source | None = Source(f"{scope.prefix}{id}", output)
        if f"{scope.prefix}{id}" in self.left_out:
            source = self.passed.get(Source(f"{scope.prefix}{id}", output))
        elif child is None:
            if scope.part.nodes[id].graph is not None:
                return None  # an instance that could not be made, which is told already
        elif output in child.part.outputs:
            source = self.output(child, output)
        else:
            source = None
            self._no_port(scope, child, "output", output, (node, where, link))
        if source is not None:
            scope.sources[link] = source
        return source

    def output(self, scope: Scope, name: str) -> Source | None:
        """Return the leaf and output that an output of a scope comes from."""
        if name not in scope.outputs:
            scope.outputs[name] = self.source(scope, scope.part.outputs[name], scope.owner, f"outputs.{name}")
        return scope.outputs[name]

    def targets(self, scope: Scope, name: str) -> Iterator[Target]:
        """Give the inputs of leaves that an input of a scope leads to; report targets that lead nowhere."""
        for target in scope.part.targets(name):
            found = self._node(scope, target, scope.owner, f"inputs.{name}")
            if found is None:
                continue
            id, port = found
            child = scope.instances.get(id)
            if child is not None and port in child.part.inputs:
                yield from self.targets(child, port)
            elif child is not None:
                self._no_port(scope, child, "input", port, (scope.owner, f"inputs.{name}", target))
            elif scope.part.nodes[id].graph is None:
                yield Target(f"{scope.prefix}{id}", port)

    def _node(self, scope: Scope, text: str, node: str | None, where: str) -> tuple[str, str] | None:
        """Split `node.port` and return both if the scope has the node."""
        id, dot, port = text.partition(".")
        nodes = scope.part.nodes
        if not dot or not id or not port or "." in port:
            message = f"got {told(text)}; expected 'node.name': the id of a node, a dot, the name of what it has there"
            self._report(scope, "bad_link", message, node, where, got=text, expected="node.name")
            return None
        if id in nodes:
            return id, port
        if not self.dropped.isdisjoint(((*scope.place, "nodes"), (*scope.place, "nodes", id))):
            return None
        inside = f" in the subgraph {scope.chain[-1]!r}" if scope.chain else ""
        message, near = f"there is no node {id!r}{inside}", self.problems.hint(id, nodes)
        if "/" in id:
            message += "; what is within a subgraph is reached by its outputs"
        near = f"{near}.{port}" if near else None
        self._report(scope, "unknown_node", message, node, where, got=text, nearest=near)
        return None

    def _no_port(self, scope: Scope, child: Scope, kind: str, name: str, at: tuple[str | None, str, str]) -> None:
        """Report that the subgraph of an instance has no such input or output."""
        if (*child.place, f"{kind}s", name) in self.dropped:
            return
        node, where, text = at
        known = child.part.outputs if kind == "output" else child.part.inputs
        what = f"its {kind}s are {listed(known)}" if known else f"it has no {kind}s"
        near = self.problems.hint(name, known)
        hint = f"{text.partition('.')[0]}.{near}" if near else None
        message = f"the subgraph {child.chain[-1]!r} has no {kind} {name!r}; {what}"
        self._report(scope, f"unknown_{kind}", message, node, where, got=text, nearest=hint)

    def _report(self, scope: Scope, code: str, message: str, node: str | None, where: str, **more: object) -> None:
        """Add a problem at a place of a scope, unless it was told for another instance of the same subgraph."""
        local = "" if node is None or node == scope.owner else node.removeprefix(scope.prefix)
        key = (scope.place, local, where, message)
        if key not in self._told:
            self._told.add(key)
            self.problems.report(code, message, node=node, field=where, **more)


def _laid_over(written: dict[str, Given], feeds: Mapping[str, Given]) -> dict[str, Given]:
    """Return what is written for a node's inputs, with what comes from around its subgraph in front."""
    for name, feed in feeds.items():
        written[name] = _before(feed, written[name]) if name in written else feed
    return written


def _before(given: Given, last: Given) -> Given:
    return replace(given, fallback=last if given.fallback is None else _before(given.fallback, last))


def listed(names: Iterable[str], shown: int = 12) -> str:
    """Return names as a message lists them."""
    known = sorted(names)
    rest = len(known) - shown
    return ", ".join(map(repr, known[:shown])) + (f" and {rest} more" if rest > 0 else "")
