"""ComfyUI's API format, read and written: `{"3": {"class_type": "KSampler", "inputs": {"model": ["4", 0]}}}`.

A link there is the id of a node and the position of one of its outputs; positions become the names of our outputs in
their order. A list that is a value, not a link, is wrapped: `{"__value__": [...]}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from nodegraph.engine.check import check
from nodegraph.engine.document import NodeEntry, Place, Workflow
from nodegraph.engine.errors import Problem, Problems, WorkflowError, told
from nodegraph.engine.graph import Graph, Instance
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec
from nodegraph.engine.types import bare

__all__ = ["is_api", "read_api", "write_api"]

_EDITOR_ONLY = frozenset({"upload", "control_after_generate", "choose file to upload", "speak_and_recognation"})
"""Inputs that saved files carry for the widgets of an editor; no node reads them."""

_TINY = {name: f"{name}_decoder.safetensors" for name in ("taesd", "taesdxl", "taesd3", "taef1")}
"""ComfyUI's names of tiny autoencoders, which are two files there too, and the file that we name."""
_RENAMED: Mapping[tuple[str, str], Mapping[Json, Json]] = {("VAELoader", "vae_name"): _TINY}
"""Values that have another name there, by node and input."""


def is_api(document: Json) -> bool:
    """Tell whether parsed JSON is of ComfyUI's API format, alone or as the `prompt` of a request."""
    return _entries(document) is not None


def _entries(document: Json) -> Mapping[str, Json] | None:
    if not isinstance(document, Mapping) or "format" in document:
        return None
    if any(isinstance(entry, Mapping) and "class_type" in entry for entry in document.values()):
        return document
    inner = document.get("prompt")
    return _entries(inner) if isinstance(inner, Mapping) else None


def read_api(document: Json, registry: Mapping[str, NodeSpec]) -> Workflow:
    """Read a workflow; what is wrong with it stands in its `problems`, which `check` reports with all others.

    Raise `WorkflowError` if the document is not of this format at all.
    """
    entries = _entries(document)
    if entries is None:
        raise WorkflowError([Problem("not_a_workflow", "not of ComfyUI's API format: no node has a 'class_type'")])
    return _Reader(entries, registry).read()


class _Reader:
    """Reads the nodes of one file."""

    def __init__(self, entries: Mapping[str, Json], registry: Mapping[str, NodeSpec]) -> None:
        self.entries, self.registry = entries, registry
        self.ids = _ids(entries)
        self.problems, self.dropped = Problems(), set[Place]()

    def read(self) -> Workflow:
        nodes: dict[str, NodeEntry] = {}
        view: dict[str, Json] = {}
        for key, entry in self.entries.items():
            id = self.ids[key]
            if not isinstance(entry, Mapping) or not isinstance(entry.get("class_type"), str):
                got = f"the 'class_type' {told(entry.get('class_type'))}" if isinstance(entry, Mapping) else told(entry)
                message = f"a node is an object with the text 'class_type'; got {got}"
                self._wrong(("nodes", id), "invalid_entry", message, node=id)
                continue
            nodes[id] = self._node(id, entry)
            title = entry["_meta"].get("title") if isinstance(entry.get("_meta"), Mapping) else None
            if isinstance(title, str):
                view[id] = {"title": title}
        return Workflow(format=1, nodes=nodes, view=view).noting(self.problems, self.dropped)

    def _node(self, id: str, entry: Mapping[str, Json]) -> NodeEntry:
        spec = self.registry.get(entry["class_type"])
        inputs = entry.get("inputs", {})
        if not isinstance(inputs, Mapping):
            message = f"'inputs' is an object of values by name; got {told(inputs)}"
            self._wrong(("nodes", id, "params"), "invalid_entry", message, node=id, field="inputs")
            inputs = {}
        params: dict[str, Json] = {}
        links: dict[str, str] = {}
        for name, value in inputs.items():
            name = spec.input_known_as(name) if spec else name
            port = spec.inputs.get(name) if spec else None
            if self._is_link(value, port):
                link = self._link(id, name, value)
                if link is not None:
                    links[name] = link
            elif not _idle(name, value, port):
                params[name] = _ours(entry["class_type"], name, _value(value, port))
        return NodeEntry(type=entry["class_type"], params=params, links=links)

    def _is_link(self, value: Json, port: InputPort | None) -> TypeGuard[list[Any]]:
        if not isinstance(value, list) or len(value) != 2 or type(value[1]) is not int:
            return False
        if isinstance(value[0], str):
            return True
        takes_list = port is not None and (port.type.schema or {}).get("type") == "array"
        return type(value[0]) is int and str(value[0]) in self.entries and not takes_list

    def _link(self, id: str, name: str, value: list[Any]) -> str | None:
        """Return `node.output` for the id of a node and the position of an output."""
        key, position = str(value[0]), value[1]
        place, where = ("nodes", id, "links", name), {"node": id, "field": f"inputs.{name}", "got": value}
        if key not in self.entries:
            near = self.problems.hint(key, self.entries)
            self._wrong(
                place, "unknown_node", f"got a link to node {key!r}, which the file lacks", nearest=near, **where
            )
            return None
        entry, source = self.entries[key], self.ids[key]
        type_ = entry.get("class_type") if isinstance(entry, Mapping) else None
        spec = self.registry.get(type_) if isinstance(type_, str) else None
        if spec is None:
            return f"{source}.{position}"
        names = tuple(spec.outputs)
        if 0 <= position < len(names):
            return f"{source}.{names[position]}"
        known = ", ".join(f"{index} {output}" for index, output in enumerate(names))
        has = f"its outputs are {known}" if names else "it has no outputs"
        message = f"got output {position} of node {key!r} ({type_}); {has}"
        self._wrong(place, "unknown_output", message, expected=known or None, **where)
        return None

    def _wrong(self, place: Place, code: str, message: str, **more: Any) -> None:
        self.dropped.add(place)
        self.problems.report(code, message, **more)


def _idle(name: str, value: Json, port: InputPort | None) -> bool:
    """Tell whether an input says nothing: one of an editor's, or a null where nothing need be given."""
    if port is None:
        return name in _EDITOR_ONLY
    return value is None and not port.required


def _ids(entries: Mapping[str, Json]) -> dict[str, str]:
    """Return ids of ours for the file's, which may hold any character."""
    ids: dict[str, str] = {}
    taken = {key for key in entries if re.fullmatch(r"[A-Za-z0-9_:-]+", key)}
    for key in entries:
        id = key
        if key not in taken:
            base = re.sub(r"[^A-Za-z0-9_:-]", "_", key) or "node"
            id = _free(base, taken)
            taken.add(id)
        ids[key] = id
    return ids


def _free(base: str, taken: set[str]) -> str:
    id, number = base, 2
    while id in taken:
        id, number = f"{base}_{number}", number + 1
    return id


def _value(value: Json, port: InputPort | None) -> Json:
    """Return a typed value; `20.0` for an integer is 20, as writers that know only floats save it."""
    if isinstance(value, Mapping) and set(value) == {"__value__"}:
        value = value["__value__"]
    if isinstance(value, float) and value.is_integer() and port is not None and bare(port.type.annotation) is int:
        return int(value)
    return value


def write_api(workflow: Workflow, registry: Mapping[str, NodeSpec]) -> dict[str, Json]:
    """Write a workflow in the API format: subgraphs dissolved, defaults written out.

    Raise `WorkflowError` for a workflow that is wrong, or that holds what the format has no form for.
    """
    graph = check(workflow, registry)
    ids = _written_ids(graph)
    problems = Problems()
    document: dict[str, Json] = {}
    for id, node in graph.nodes.items():
        view = workflow.view.get(id)
        title = view.get("title") if isinstance(view, Mapping) else None
        if not isinstance(title, str):
            title = node.spec.title or node.spec.id
        inputs = _inputs(graph, node, ids, problems)
        document[ids[id]] = {"class_type": _written_type(node.spec), "inputs": inputs, "_meta": {"title": title}}
    problems.raise_any()
    return document


def _written_type(spec: NodeSpec) -> str:
    """Return a node's id as ComfyUI has it: one with a blank is an alias of ours."""
    return next((alias for alias in spec.aliases if " " in alias), spec.id)


def _written_ids(graph: Graph) -> dict[str, str]:
    """Return ids without `/`, which nodes of dissolved subgraphs have: ComfyUI writes `:` there."""
    taken = {id for id in graph.nodes if "/" not in id}
    ids: dict[str, str] = {}
    for id in graph.nodes:
        ids[id] = id if "/" not in id else _free(id.replace("/", ":"), taken)
        taken.add(ids[id])
    return ids


def _inputs(graph: Graph, node: Instance, ids: Mapping[str, str], problems: Problems) -> dict[str, Json]:
    inputs: dict[str, Json] = {}
    for name, port in node.spec.inputs.items():
        key = port.known_as or name
        if port.body:
            message = "ComfyUI's API format has no form for a node with a subgraph as its body"
            problems.report("not_expressible", message, node=node.id, field=f"params.{name}")
        elif name in node.links:
            source = node.links[name]
            outputs = list(graph.nodes[source.node].spec.outputs)
            inputs[key] = [ids[source.node], outputs.index(source.output)]
        else:
            value = node.params.get(name, port.default)
            if value is not None and value is not MISSING:
                plain = _theirs(node.spec.id, name, port.type.dump(value))
                inputs[key] = {"__value__": plain} if isinstance(plain, list) else plain
    return inputs


def _ours(type: str, name: str, value: Json) -> Json:
    table = _RENAMED.get((type, name), {})
    return table.get(value, value) if isinstance(value, str) else value


def _theirs(type: str, name: str, value: Json) -> Json:
    table = {ours: theirs for theirs, ours in _RENAMED.get((type, name), {}).items()}
    return table.get(value, value) if isinstance(value, str) else value
