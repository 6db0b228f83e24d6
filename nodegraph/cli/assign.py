"""`--set` and `--seed`: from a name and a text to a value of a workflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.engine.document import NodeEntry, Subgraph, Workflow
from nodegraph.engine.exposed import Exposed, exposed_inputs
from nodegraph.engine.nearest import nearest
from nodegraph.engine.plugins import Registry
from nodegraph.engine.spec import InputPort, Json
from nodegraph.engine.types import members
from nodegraph.engine.values import describe

SEEDS = ("seed", "noise_seed")
SHOWN = 30
"""Names listed before the rest is counted."""

Part = TypeVar("Part", bound=Subgraph)


def assign(
    workflow: Workflow, registry: Registry, values: Sequence[tuple[str, str]], seed: int | None
) -> tuple[Workflow, dict[str, Json]]:
    """Return the workflow with parameters set, and the values for the inputs that it exposes; the last word counts.

    Raise `CommandError` for a name that cannot be set.
    """
    inputs: dict[str, Json] = {}
    if seed is not None and "seed" in workflow.inputs:
        inputs["seed"] = seed
    elif seed is not None:
        if not any(_all_seeds(workflow, registry)):
            raise CommandError("--seed: no node of the workflow has a seed that is not wired", Exit.USAGE)
        workflow = _seeded(workflow, registry, seed)
    ports = exposed_inputs(workflow, registry) if values else {}
    for name, text in values:
        if name in workflow.inputs:
            inputs[name] = read_value(ports[name].port if name in ports else None, text)
        else:
            workflow = _with(workflow, name, text, registry)
    return workflow, inputs


def read_value(port: InputPort | None, text: str) -> Json:
    """Return the value that was meant: text for a text input, JSON for any other, text where it is no JSON."""
    if port is not None and _textual(port):
        return None if text == "null" and type(None) in members(port.type.annotation) else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # the check tells what would fit


def _textual(port: InputPort) -> bool:
    if port.choices is not None or port.file is not None or port.body:
        return True
    schema = port.type.schema or {}
    return all(part.get("type") in ("string", "null") for part in schema.get("anyOf", [schema]))


def settable(workflow: Workflow, registry: Registry) -> dict[str, Exposed]:
    """Return the inputs that can be typed, of those that the workflow exposes."""
    return {name: entry for name, entry in exposed_inputs(workflow, registry).items() if _typable(entry.port)}


def parameters(workflow: Workflow, registry: Registry) -> dict[str, Exposed]:
    """Return the nodes' parameters as `node.name`; what is wired is left out."""
    places = {
        f"{id}.{name}": f"{id}.{name}"
        for id, entry in workflow.nodes.items()
        for name in _inputs(workflow, entry, registry)
        if name not in entry.links
    }
    return settable(workflow.model_copy(update={"inputs": places}), registry)


def expected(port: InputPort) -> str:
    """Return what fits an input, in words."""
    if port.body:
        return "the name of a subgraph"
    if port.file is not None:
        return f"a file of {port.file}"
    names = port.choices() if port.choices is not None else ()
    if names:
        return f"one of {', '.join(names[:SHOWN])}" + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
    return describe(port.type)


def _typable(port: InputPort) -> bool:
    return port.type.data or port.body


def _inputs(workflow: Workflow, entry: NodeEntry, registry: Registry) -> Mapping[str, object]:
    """Return the inputs of a node, or of the instance of a subgraph, by name."""
    if entry.type is not None:
        return registry[entry.type].inputs if entry.type in registry else {}
    subgraph = workflow.subgraphs.get(str(entry.graph))
    return subgraph.inputs if subgraph is not None else {}


def _with(workflow: Workflow, name: str, text: str, registry: Registry) -> Workflow:
    """Return the workflow with one parameter set; a wire that led to it is taken off."""
    node, _, param = name.partition(".")
    entry = workflow.nodes.get(node)
    if entry is None or (param not in (known := _inputs(workflow, entry, registry)) and (known or not param)):
        raise _unknown(workflow, name, registry)
    found = exposed_inputs(workflow.model_copy(update={"inputs": {name: name}}), registry)
    value = read_value(found[name].port if name in found else None, text)
    links = {key: link for key, link in entry.links.items() if key != param}
    changed = entry.model_copy(update={"params": {**entry.params, param: value}, "links": links})
    return workflow.model_copy(update={"nodes": {**workflow.nodes, node: changed}})


def _unknown(workflow: Workflow, name: str, registry: Registry) -> CommandError:
    """Return the error for a name that cannot be set: the nearest one, and all that can be."""
    names, places = settable(workflow, registry), parameters(workflow, registry)
    near = nearest(name, [*names, *places])
    hint = f" (did you mean {near!r}?)" if near else ""
    node, dot, _ = name.partition(".")
    of_node = {place: entry for place, entry in places.items() if place.startswith(f"{node}.")} if dot else {}
    listed = of_node or names or places
    lines = [f"--set {name}: the workflow has no such input{hint}"]
    lines += ["what can be set:"] * bool(listed)
    lines += [f"  {name}: {expected(entry.port)}" for name, entry in list(listed.items())[:SHOWN]]
    lines += [f"  and {len(listed) - SHOWN} more"] * (len(listed) > SHOWN)
    if listed is names and places:
        lines.append(f"and any parameter as node.name, such as {next(iter(places))}")
    return CommandError("\n".join(lines), Exit.USAGE)


def _all_seeds(part: Subgraph, registry: Registry) -> Iterator[str]:
    for entry in part.nodes.values():
        yield from _seeds(entry, registry)
    for subgraph in part.subgraphs.values():
        yield from _all_seeds(subgraph, registry)


def _seeds(entry: NodeEntry, registry: Registry) -> Iterator[str]:
    """Give the names of a node's seeds that are not wired; of an instance of a subgraph, those that are typed."""
    names = registry[entry.type].inputs if entry.type is not None and entry.type in registry else entry.params
    yield from (name for name in SEEDS if name in names and name not in entry.links)


def _seeded(part: Part, registry: Registry, seed: int) -> Part:
    """Return the workflow with every seed set that is not wired, those within subgraphs too."""
    nodes = {}
    for id, entry in part.nodes.items():
        seeds = dict.fromkeys(_seeds(entry, registry), seed)
        nodes[id] = entry.model_copy(update={"params": {**entry.params, **seeds}}) if seeds else entry
    subgraphs = {name: _seeded(subgraph, registry, seed) for name, subgraph in part.subgraphs.items()}
    return part.model_copy(update={"nodes": nodes, "subgraphs": subgraphs})
