"""The inputs that a workflow exposes by name: what they are, and how one sets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodegraph.engine.dissolve import Dissolver, Target, listed
from nodegraph.engine.document import Workflow
from nodegraph.engine.errors import Problems
from nodegraph.engine.jsontext import Limits, json_problems
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec


@dataclass(frozen=True)
class Exposed:
    """An input of a workflow: the port that it sets first, and what the file says for it."""

    name: str
    port: InputPort
    value: Json
    """What is typed in the file, else the port's default; `MISSING` where it must be given."""
    targets: tuple[Target, ...]


def exposed_inputs(
    workflow: Workflow, registry: Mapping[str, NodeSpec], limits: Limits | None = None
) -> dict[str, Exposed]:
    """Return the inputs that a workflow exposes, those that lead to no known port left out."""
    dissolver = Dissolver(limits or Limits(), Problems(), workflow.dropped)
    scope = dissolver.open(workflow)
    found: dict[str, Exposed] = {}
    for name in workflow.inputs:
        targets = tuple(dissolver.targets(scope, name))
        for target in targets:
            leaf = dissolver.leaves[target.node]
            spec = registry.get(leaf.type)
            port = spec.inputs.get(target.port) if spec else None
            if port is not None:
                given = leaf.given.get(target.port)
                value = given.value if given is not None and given.kind == "param" else port.default
                found[name] = Exposed(name, port, MISSING if given is None and port.required else value, targets)
                break
    return found


def with_inputs(workflow: Workflow, inputs: Mapping[str, Json], problems: Problems) -> Workflow:
    """Return the workflow with values for inputs that it exposes, or for parameters as `node.param`, as if typed.

    What a wire would have given for such an input is no longer read. Names that lead nowhere are problems.
    """
    nodes = dict(workflow.nodes)
    for name, value in inputs.items():
        if name not in workflow.inputs and name.partition(".")[0] not in nodes:
            known = workflow.inputs
            what = f"the workflow exposes {listed(known)}" if known else "the workflow exposes no inputs"
            message = f"there is no input {name!r}; {what}"
            problems.report(
                "unknown_input", message, field=f"inputs.{name}", got=value, nearest=problems.hint(name, known)
            )
            continue
        wrong = next(json_problems(value, Limits().depth), None)
        if wrong is not None:
            problems.report("not_json", wrong.message, field=f"inputs.{name}")
            continue
        for target in workflow.targets(name) if name in workflow.inputs else (name,):
            node, _, port = target.partition(".")
            if node in nodes:
                entry = nodes[node]
                links = {key: link for key, link in entry.links.items() if key != port}
                nodes[node] = entry.model_copy(update={"params": {**entry.params, port: value}, "links": links})
    return workflow.model_copy(update={"nodes": nodes})
