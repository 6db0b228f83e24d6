"""Workflows made in Python, checked while they are made.

```python
graph = GraphBuilder(registry)
model, clip, vae = graph.add("CheckpointLoaderSimple", ckpt_name="shapes.safetensors")
prompt = graph.add("CLIPTextEncode", "prompt", clip=clip, text="a red circle")
graph.expose("prompt", prompt.input("text"))
graph.save("circle.json")
```

What a call gives wrong (a name, a type, a value) is an error of that call; what is still missing is told by `check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from nodegraph.engine.check import check
from nodegraph.engine.dissolve import listed
from nodegraph.engine.document import NodeEntry, Subgraph, Workflow
from nodegraph.engine.errors import Problem, Problems, WorkflowError, told
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph
from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import InputPort, Json, NodeSpec, PortType
from nodegraph.engine.types import fit, list_of, port_type
from nodegraph.engine.values import MisfitError, Values
from nodegraph.engine.workflow import save_workflow

_ID = re.compile(r"[A-Za-z0-9_:-]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a node that is being built; give it to another node's input."""

    node: Node
    name: str
    type: PortType

    def __str__(self) -> str:
        return f"{self.node.id}.{self.name}"


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a node that is being built; expose it under a name."""

    node: Node
    port: InputPort

    def __str__(self) -> str:
        return f"{self.node.id}.{self.port.name}"


@dataclass(eq=False)
class Node:
    """A node that is being built; its outputs are attributes and items, and come in order when it is unpacked."""

    _owner: SubgraphBuilder
    id: str
    _kind: str
    _inputs: Mapping[str, InputPort]
    _outputs: Mapping[str, PortType]
    _subgraph: SubgraphBuilder | None = None
    _params: dict[str, Json] = field(default_factory=dict)
    _links: dict[str, Output] = field(default_factory=dict)
    _mapped: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Output:
        if name not in self._outputs:
            has = f"its outputs are {listed(self._outputs)}" if self._outputs else "it has no outputs"
            message = f"{self._kind} has no output {name!r}; {has}"
            near = nearest(name, self._outputs)
            raise WorkflowError([Problem("unknown_output", message, node=self.id, got=name, nearest=near)])
        return Output(self, name, self._type(name))

    def __getattr__(self, name: str) -> Output:
        if name.startswith("__"):  # what copying and notebooks ask any object for
            raise AttributeError(name)
        try:
            return self[name]
        except WorkflowError as error:
            raise AttributeError(str(error.problems[0])) from None

    def __iter__(self) -> Iterator[Output]:
        return (self[name] for name in self._outputs)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._outputs})

    def input(self, name: str) -> Input:
        """Return one of the node's inputs, to expose it."""
        return Input(self, self._port(name, f"inputs.{name}"))

    def set(self, **inputs: object) -> Node:
        """Give inputs, typed or wired, replacing what was given before; return the node."""
        problems = Problems()
        for name, value in inputs.items():
            try:
                self._give(name, value)
            except WorkflowError as error:
                problems += error.problems
        problems.raise_any()
        return self

    def _type(self, name: str) -> PortType:
        """Return what an output gives; what an instance does with a list is known only to a check of the whole."""
        if not self._mapped:
            return self._outputs[name]
        return list_of(self._outputs[name]) if self._subgraph is None else port_type(Any)

    def _port(self, name: str, where: str) -> InputPort:
        if name not in self._inputs:
            has = f"its inputs are {', '.join(map(repr, self._inputs))}" if self._inputs else "it has no inputs"
            message, near = f"{self._kind} has no input {name!r}; {has}", nearest(name, self._inputs)
            raise WorkflowError([Problem("unknown_input", message, node=self.id, field=where, got=name, nearest=near)])
        return self._inputs[name]

    def _give(self, name: str, value: object) -> None:
        if isinstance(value, Node):
            value = self._only_output(name, value)
        port = self._port(name, f"{'links' if isinstance(value, Output) else 'params'}.{name}")
        self._links.pop(name, None)
        self._params.pop(name, None)
        self._mapped.discard(name)
        if isinstance(value, Output):
            self._wire(port, value)
        else:
            self._params[name] = self._typed(port, value)

    def _only_output(self, name: str, node: Node) -> Output:
        outputs = list(node)
        if len(outputs) != 1:
            has = f"one of its outputs, {listed(node._outputs)}" if outputs else "a node that has an output"
            message = f"got the node {node.id!r} ({node._kind}); expected {has}"
            raise WorkflowError([Problem("bad_link", message, node=self.id, field=f"links.{name}", got=node.id)])
        return outputs[0]

    def _wire(self, port: InputPort, source: Output) -> None:
        where: dict[str, Any] = {"node": self.id, "field": f"links.{port.name}", "got": str(source)}
        if source.node._owner is not self._owner:
            message = f"{source} is of another graph; a subgraph gets it through an input of its own"
            raise WorkflowError([Problem("unknown_node", message, **where)])
        how = None if port.body else fit(source.type, port.type)
        if how is None or (how == "mapped" and port.lazy):
            expected = "a subgraph" if port.body else port.type.name
            message = f"got {source} of type {source.type.name}; expected {expected}"
            fitting = [other.name for other in source.node if not port.body and fit(other.type, port.type)]
            near = f"{source.node.id}.{fitting[0]}" if len(fitting) == 1 else None
            raise WorkflowError([Problem("wrong_link", message, expected=expected, nearest=near, **where)])
        if how == "mapped":
            self._mapped.add(port.name)
        self._links[port.name] = source

    def _typed(self, port: InputPort, value: object) -> Json:
        where: dict[str, Any] = {"node": self.id, "field": f"params.{port.name}"}
        if port.body:
            name = value._name if isinstance(value, SubgraphBuilder) else value
            if not isinstance(name, str) or name not in self._owner._reach():
                message = (
                    f"got {told(name)}; expected a subgraph: {listed(self._owner._reach()) or 'none is there yet'}"
                )
                raise WorkflowError([Problem("unknown_subgraph", message, got=name, **where)])
            return name
        plain = _plain(value)
        try:
            self._owner._values.check(port, plain)
        except MisfitError as misfit:
            more = {"got": plain, "expected": misfit.expected, "nearest": misfit.nearest}
            raise WorkflowError([Problem(misfit.code, misfit.message, **where, **more)]) from misfit
        return plain

    def _entry(self) -> NodeEntry:
        links = {name: str(output) for name, output in self._links.items()}
        if self._subgraph is not None:
            return NodeEntry(graph=self._subgraph._name, params=self._params, links=links)
        return NodeEntry(type=self._kind, params=self._params, links=links)


def _plain(value: object) -> Json:
    """Return the JSON that stands for a Python value in a file."""
    if isinstance(value, Enum):
        return value.value
    return value.as_posix() if isinstance(value, PurePath) else value


class SubgraphBuilder:
    """Nodes with named inputs and outputs, which are used as one node; made by `GraphBuilder.subgraph`."""

    def __init__(
        self, registry: Mapping[str, NodeSpec], values: Values, name: str, parent: SubgraphBuilder | None
    ) -> None:
        self._registry, self._values, self._name, self._parent = registry, values, name, parent
        self._nodes: dict[str, Node] = {}
        self._inputs: dict[str, tuple[Input, ...]] = {}
        self._outputs: dict[str, Output] = {}
        self._subgraphs: dict[str, SubgraphBuilder] = {}

    def add(self, kind: str | SubgraphBuilder, id: str | None = None, /, **inputs: object) -> Node:
        """Add a node of a type, or an instance of a subgraph, and return it.

        An input gets a value, an output of another node, or a node that has just one. Without `id` the node is called
        after its type.
        """
        name = kind._name if isinstance(kind, SubgraphBuilder) else kind
        id = self._free(name) if id is None else id
        if not _ID.fullmatch(id) or id in self._nodes:
            what = "is taken" if id in self._nodes else "is no node id: letters, digits, '_', '-' and ':' make one"
            raise WorkflowError([Problem("bad_node_id", f"{id!r} {what}", node=id, got=id)])
        node = self._instance(kind, id) if isinstance(kind, SubgraphBuilder) else self._typed_node(kind, id)
        node.set(**inputs)
        self._nodes[id] = node
        return node

    def subgraph(self, name: str) -> SubgraphBuilder:
        """Start a subgraph that nodes here, and subgraphs here, may use."""
        if not _ID.fullmatch(name) or name in self._subgraphs:
            raise WorkflowError([Problem("bad_name", f"the name {name!r} of a subgraph is taken or no name", got=name)])
        made = self._subgraphs[name] = SubgraphBuilder(self._registry, self._values, name, self)
        return made

    def expose(self, name: str, *inputs: Input) -> None:
        """Give inputs of nodes a name by which one sets them from outside; the first decides how it is shown."""
        if not _NAME.fullmatch(name) or not inputs:
            message = f"{name!r} names no input: letters, digits, '_', '-' make a name, and it leads to node.input('x')"
            raise WorkflowError([Problem("bad_name", message, field=f"inputs.{name}", got=name)])
        for place in inputs:
            self._own(place.node, str(place), f"inputs.{name}")
        self._inputs[name] = inputs

    def output(self, name: str, source: Output | Node) -> None:
        """Give an output of a node a name by which it is read from outside."""
        found = next(iter(source)) if isinstance(source, Node) and len(source._outputs) == 1 else source
        if not _NAME.fullmatch(name) or not isinstance(found, Output):
            message = f"got {name!r} for {source}; expected a name, and an output of a node"
            raise WorkflowError([Problem("bad_name", message, field=f"outputs.{name}", got=name)])
        self._own(found.node, str(found), f"outputs.{name}")
        self._outputs[name] = found

    def _own(self, node: Node, text: str, where: str) -> None:
        if node._owner is not self:
            raise WorkflowError([Problem("unknown_node", f"{text} is of another graph", field=where, got=text)])

    def _free(self, name: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name.rpartition(".")[2]).lower() or "node"
        id, number = base, 2
        while id in self._nodes:
            id, number = f"{base}_{number}", number + 1
        return id

    def _typed_node(self, kind: str, id: str) -> Node:
        spec = self._registry.get(kind)
        if spec is None:
            near = nearest(kind, self._registry)
            problem = Problem("unknown_node_type", f"unknown node type {kind!r}", node=id, got=kind, nearest=near)
            raise WorkflowError([problem])
        return Node(self, id, kind, spec.inputs, {name: output.type for name, output in spec.outputs.items()})

    def _instance(self, subgraph: SubgraphBuilder, id: str) -> Node:
        if self._reach().get(subgraph._name) is not subgraph or subgraph in self._around():
            message = f"the subgraph {subgraph._name!r} is of another graph, or is the one that this node is in"
            raise WorkflowError([Problem("unknown_subgraph", message, node=id, got=subgraph._name)])
        inputs = {name: replace(places[0].port, name=name) for name, places in subgraph._inputs.items()}
        outputs = {name: output.type for name, output in subgraph._outputs.items()}
        return Node(self, id, subgraph._name, inputs, outputs, subgraph)

    def _around(self) -> Iterator[SubgraphBuilder]:
        builder: SubgraphBuilder | None = self
        while builder is not None:
            yield builder
            builder = builder._parent

    def _reach(self) -> dict[str, SubgraphBuilder]:
        """Return the subgraphs in reach by name, inner ones before outer ones."""
        found: dict[str, SubgraphBuilder] = {}
        for builder in self._around():
            for name, subgraph in builder._subgraphs.items():
                found.setdefault(name, subgraph)
        return found

    def _parts(self) -> dict[str, Any]:
        inputs = {name: [str(place) for place in places] for name, places in self._inputs.items()}
        return {
            "nodes": {id: node._entry() for id, node in self._nodes.items()},
            "inputs": {name: places[0] if len(places) == 1 else places for name, places in inputs.items()},
            "outputs": {name: str(output) for name, output in self._outputs.items()},
            "subgraphs": {name: Subgraph(**subgraph._parts()) for name, subgraph in self._subgraphs.items()},
        }


class GraphBuilder(SubgraphBuilder):
    """Builds a workflow; without `folders`, names of files are taken as they are."""

    def __init__(self, registry: Mapping[str, NodeSpec], *, folders: Folders | None = None) -> None:
        super().__init__(registry, Values(folders), "", None)
        self._folders = folders

    def workflow(self) -> Workflow:
        """Return the workflow as built so far."""
        return Workflow(format=1, **self._parts())

    def check(self, **inputs: Json) -> Graph:
        """Return the graph that can run, with the exposed `inputs` set; raise `WorkflowError` with every problem."""
        return check(self.workflow(), self._registry, folders=self._folders, inputs=inputs)

    def save(self, path: str | Path) -> None:
        """Write the workflow to a file, whole or not at all."""
        save_workflow(self.workflow(), path)
