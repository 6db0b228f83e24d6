"""Turns expansions, mapped nodes and subgraphs into tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.engine.expansion import Expansion, Given, Item, Ref, Use
from nodegraph.engine.graph import Body, Instance
from nodegraph.engine.recipe import UncacheableError, canonical
from nodegraph.engine.spec import NodeSpec
from nodegraph.engine.task import Constant, Task

if TYPE_CHECKING:
    from nodegraph.engine.naming import Namer


class Link(NamedTuple):
    """An output of a task."""

    task: Task
    output: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A value that is part of recipes by itself, as if it were typed in the file."""

    value: Any


Wire = Link | Constant | Typed
"""What an input of a spliced task gets."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A list of outputs of tasks."""

    links: tuple[Link, ...]


Taken = Wire | Gathered
"""What becomes an output of the node that expanded."""


@dataclass(frozen=True, slots=True)
class Splice:
    """What a node expanded into: all tasks, sources first, and where its outputs come from."""

    tasks: Sequence[Task]
    outputs: Mapping[str, Taken]


def awaited(splice: Splice) -> tuple[Task, ...]:
    """Return the tasks that the outputs of an expansion come from, and its sinks."""
    found: dict[int, Task] = {}
    for taken in splice.outputs.values():
        links = (taken,) if isinstance(taken, Link) else taken.links if isinstance(taken, Gathered) else ()
        found.update((id(link.task), link.task) for link in links)
    found.update((id(task), task) for task in splice.tasks if is_sink(task.instance))
    return tuple(found.values())


def is_sink(instance: Instance) -> bool:
    """Tell whether a run must reach a node: it is a sink, or one stands in a subgraph that it expands."""
    if instance.spec.output:
        return True
    bodies = (value for value in instance.params.values() if type(value) is Body)
    return any(is_sink(inner) for body in bodies for inner in body.nodes.values())


def value_of(taken: Taken) -> Any:
    """Return the value of an output of an expansion."""
    if isinstance(taken, Link):
        return None if taken.task.values is None else taken.task.values[taken.output]
    if isinstance(taken, Gathered):
        return [value_of(link) for link in taken.links]
    return taken.value


def make_task(
    id: str, instance: Instance, links: Mapping[str, tuple[Task, str]], wires: Mapping[str, Wire], namer: Namer
) -> Task:
    """Return a named task for `instance`, whose inputs get `wires` before `links` and its own parameters."""
    joined: dict[str, tuple[Task, str]] = {**links}
    params = dict(instance.params)
    constants: dict[str, Constant] = {}
    for port, wire in wires.items():
        joined.pop(port, None)
        params.pop(port, None)
        match wire:
            case Link():
                joined[port] = (wire.task, wire.output)
            case Constant():
                constants[port] = wire
            case Typed():
                params[port] = wire.value
    instance = replace(instance, id=id, params=params)
    task = Task(id, instance, namer.signature(instance.spec), joined, constants or None)
    task.given = tuple(port for port, wire in wires.items() if type(wire) is Typed)
    namer.name(task)
    return task


def body_tasks(body: Body, prefix: str, given: Mapping[str, Wire], namer: Namer) -> dict[str, Task]:
    """Return a named task for each node of a subgraph, by the node's id in it."""
    wires: dict[str, dict[str, Wire]] = {}
    for name, wire in given.items():
        if name not in body.targets:
            raise ValueError(f"the subgraph {body.name!r} has no input {name!r}; it has {sorted(body.targets)}")
        for node, port in body.targets[name]:
            wires.setdefault(node, {})[port] = wire
    tasks: dict[str, Task] = {}
    for id, instance in body.nodes.items():
        links = {port: (tasks[source.node], source.output) for port, source in instance.links.items()}
        tasks[id] = make_task(f"{prefix}{id}", instance, links, wires.get(id, {}), namer)
    return tasks


def outline(body: Body, namer: Namer, *, every: bool) -> dict[str, Task]:
    """Return the tasks of a subgraph whose inputs get placeholders: every input, or only those that must be given."""
    given: dict[str, Wire] = {}
    for name, port in body.inputs.items():
        open_ = all(
            target not in body.nodes[node].params and target not in body.nodes[node].links
            for node, target in body.targets[name]
        )
        if every or (open_ and port.required):
            given[name] = Constant(None, f"?{name}")
    return body_tasks(body, "", given, namer)


def split(owner: Task, namer: Namer) -> Splice:
    """Return a task for each item of the lists that a node is mapped over."""
    lists = {port: _values(owner.links[port]) for port in owner.instance.mapped}
    length = _common_length({port: len(items) for port, items in lists.items()})
    plain = replace(owner.instance, mapped=())
    links = {port: link for port, link in owner.links.items() if port not in lists}
    constants = dict(owner.constants or {})
    tasks = []
    for index in range(length):
        wires: dict[str, Wire] = {**constants}
        for port, items in lists.items():
            wires[port] = _item(Link(*owner.links[port]), items, index if len(items) > 1 else 0)
        tasks.append(make_task(f"{owner.id}/{index}", plain, links, wires, namer))
    outputs = {output: Gathered(tuple(Link(task, output) for task in tasks)) for output in owner.spec.outputs}
    return Splice(tasks, outputs)


def _common_length(lengths: Mapping[str, int]) -> int:
    """Return how often a mapped node runs; a list of one item goes with any other."""
    wanted = {length for length in lengths.values() if length != 1} or {1}
    if len(wanted) > 1:
        told = ", ".join(f"`{port}` has {length}" for port, length in lengths.items())
        raise ValueError(f"lists of unequal length: {told}; lists that go together have as many items, or one")
    return wanted.pop()


def _values(link: tuple[Task, str]) -> Sequence[Any]:
    task, output = link
    values = None if task.values is None else task.values[output]
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"`{task.id}.{output}` is declared a list, but gave {type(values).__name__}")
    return values


def _item(link: Link, items: Sequence[Any], index: int) -> Wire:
    value = items[index]
    try:
        canonical(value)
    except UncacheableError:
        return Constant(value, link.task.item_name(link.output, index), link.task)
    return Typed(value)


class Splicer:
    """Turns the expansion that a node returned into tasks."""

    def __init__(self, owner: Task, expansion: Expansion, namer: Namer, taken: Callable[[str], bool]) -> None:
        self.owner, self.expansion, self.namer, self._taken = owner, expansion, namer, taken
        self._exports: dict[str, Mapping[str, Link]] = {}
        self._tasks: list[Task] = []

    def splice(self) -> Splice:
        """Return the tasks and the outputs; raise `ValueError` where the expansion does not fit together."""
        missing = [name for name in self.owner.spec.outputs if name not in self.expansion.outputs]
        if missing:
            raise ValueError(f"its expansion gives no {missing}; it must give {list(self.owner.spec.outputs)}")
        for name in self._order():
            self._add(name, self.expansion.nodes[name])
        return Splice(
            self._tasks, {name: self._output(self.expansion.outputs[name]) for name in self.owner.spec.outputs}
        )

    def _order(self) -> Sequence[str]:
        """Return the nodes' names, each after those that it refers to."""
        nodes = self.expansion.nodes
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name, use in nodes.items():
            refs = [given.node for given in use.inputs.values() if isinstance(given, Ref)]
            unknown = [ref for ref in refs if ref not in nodes]
            if unknown:
                raise ValueError(f"its expansion has no node {unknown[0]!r}, which {name!r} reads")
            sorter.add(name, *refs)
        try:
            return tuple(sorter.static_order())
        except CycleError as error:
            raise ValueError(f"its expansion goes in a circle: {' -> '.join(error.args[1])}") from error

    def _add(self, name: str, use: Use) -> None:
        wires = {port: self._wire(given) for port, given in use.inputs.items()}
        id = self._free(f"{self.owner.scope}/{name}")
        if isinstance(use.of, Body):
            tasks = body_tasks(use.of, f"{id}/", wires, self.namer)
            self._tasks.extend(tasks.values())
            self._exports[name] = {
                output: Link(tasks[source.node], source.output) for output, source in use.of.sources.items()
            }
            return
        spec = use.of if isinstance(use.of, NodeSpec) else self.namer.spec(use.of, self.owner.spec)
        unknown = [port for port in wires if port not in spec.inputs]
        if unknown:
            raise ValueError(f"{spec.id} has no input {unknown[0]!r}; it has {list(spec.inputs)}")
        task = make_task(id, Instance(id, spec, mapped=use.mapped), {}, wires, self.namer)
        if use.beside:
            task.scope = self.owner.scope
        self._tasks.append(task)
        self._exports[name] = {output: Link(task, output) for output in spec.outputs}

    def _free(self, id: str) -> str:
        """Return `id`, or a variant of it where the run has one of that name."""
        name, number = id, 2
        while self._taken(name):
            name, number = f"{id}~{number}", number + 1
        return name

    def _wire(self, given: object) -> Wire:
        match given:
            case Ref():
                return self._ref(given)
            case Given():
                return self._given(given.input)
            case Item():
                return self._owners_item(given)
        try:
            canonical(given)
        except UncacheableError:
            return Typed(given) if isinstance(given, Body) else Constant(given, self.namer.fleeting())
        return Typed(given)

    def _ref(self, ref: Ref) -> Link:
        exports = self._exports.get(ref.node)
        if exports is None:
            raise ValueError(f"its expansion has no node {ref.node!r}")
        if ref.output not in exports:
            raise ValueError(f"{ref.node!r} of its expansion has no output {ref.output!r}; it has {list(exports)}")
        return exports[ref.output]

    def _given(self, port: str) -> Wire:
        owner = self.owner
        if port in owner.links:
            return Link(*owner.links[port])
        if owner.constants is not None and port in owner.constants:
            return owner.constants[port]
        if port not in owner.spec.inputs:
            raise ValueError(f"its expansion passes on {port!r}, which {owner.spec.id} does not take")
        return Typed(owner.instance.params.get(port, owner.spec.inputs[port].default))

    def _owners_item(self, item: Item) -> Wire:
        wire = self._given(item.input)
        items = _values((wire.task, wire.output)) if isinstance(wire, Link) else wire.value
        if not -len(items) <= item.index < len(items):
            raise ValueError(f"its expansion asks for item {item.index} of `{item.input}`, which has {len(items)}")
        index = item.index % len(items)
        if isinstance(wire, Link):
            return _item(wire, items, index)
        if isinstance(wire, Constant):
            return Constant(items[index], f"{wire.name}[{index}]", wire.origin)
        return Typed(items[index])

    def _output(self, given: object) -> Taken:
        if isinstance(given, (list, tuple)):
            refs = [item for item in given if isinstance(item, Ref)]
            if refs and len(refs) < len(given):
                raise ValueError("an output of its expansion mixes references with other values")
            if refs:
                return Gathered(tuple(map(self._ref, refs)))
        return self._wire(given)
