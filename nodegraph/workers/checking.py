"""Workflows checked with several sets of inputs, and what jobs are known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nodegraph.engine.aim import aimed
from nodegraph.engine.check import check
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.exposed import Exposed, exposed_inputs
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph, Instance
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.spec import MISSING, InputPort
from nodegraph.engine.variants import Variants
from nodegraph.engine.workflow import Workflow, load_workflow
from nodegraph.interop.comfy_api import is_api, read_api
from nodegraph.runtime import Forms, Runtime
from nodegraph.server.errors import problem_json
from nodegraph.workers.packages import package_of
from nodegraph.workers.redact import Redactor

Json = Any
MOST_FAILURES: Final = 100
"""Items that are checked although they are wrong; the rest of a batch is then not looked at."""
MOST_PROBLEMS: Final = 200
LONGEST_VALUE: Final = 10_000
"""Characters of a text among the exposed inputs."""


def load(runtime: Runtime, document: Json, limits: Limits) -> Workflow:
    """Read a workflow of any known format; raise `WorkflowError` for what is none."""

    def other(found: Json) -> Workflow | None:
        return read_api(found, runtime.registry) if is_api(found) else None

    if not isinstance(document, (Mapping, bytes)):
        raise WorkflowError([Problem("not_a_workflow", f"a workflow is a JSON object; got {_told(document)}")])
    return load_workflow(document, limits, reader=other)


def graph_of(
    runtime: Runtime,
    workflow: Workflow,
    inputs: Mapping[str, Json],
    targets: Sequence[str],
    folders: Folders,
    limits: Limits,
) -> Graph:
    """Return the graph that runs; raise `WorkflowError` with every problem."""
    graph = aimed(check(workflow, runtime.registry, folders=folders, inputs=inputs, limits=limits), targets)
    return replace(graph, document=Forms(graph.document, runtime.registry))


class Checks:
    """Checks the items of one request."""

    def __init__(self, runtime: Runtime, redact: Redactor, limits: Limits) -> None:
        self._runtime, self._redact, self._limits = runtime, redact, limits

    def check(
        self, document: Json, inputs: Sequence[Mapping[str, Json]], targets: Sequence[str], input_: Sequence[Path]
    ) -> tuple[dict[str, Json], bytes]:
        """Return what is told of the items, and the workflow as native JSON; raise `WorkflowError` for no workflow."""
        workflow = load(self._runtime, document, self._limits)
        folders = self._runtime.folders.placed({"input": tuple(input_)}) if input_ else self._runtime.folders
        variants = Variants(workflow, self._runtime.registry, folders=folders, limits=self._limits)
        signatures = Signatures()
        exposed: dict[str, Exposed] | None = None
        nodes: dict[str, str] = {}
        left_out: dict[str, str] = {}
        items: list[dict[str, Json]] = []
        failed = 0
        for given in inputs:
            if failed >= MOST_FAILURES:
                problem = Problem("not_checked", f"not checked: {MOST_FAILURES} items before it are wrong")
                items.append(self._item([problem]))
                continue
            try:
                graph = aimed(variants.graph(given), targets)
            except WorkflowError as error:
                failed += 1
                items.append(self._item(error.problems))
                continue
            if exposed is None:
                exposed = exposed_inputs(workflow, self._runtime.registry, self._limits)
                nodes = {id: instance.spec.id for id, instance in graph.nodes.items()}
                left_out = dict(graph.left_out)
            items.append({"problems": [], "signature": signatures(graph), "exposed": _exposed(exposed, given)})
        name = workflow.meta.get("name") or workflow.meta.get("title") or ""
        text = json.dumps(workflow.dump(), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
        told = {"name": name if isinstance(name, str) else "", "nodes": nodes, "left_out": left_out, "items": items}
        return told, text

    def problems(self, problems: Sequence[Problem]) -> list[dict[str, Json]]:
        """Return problems as they stand on the wire, without paths."""
        return [self._problem(problem) for problem in problems[:MOST_PROBLEMS]]

    def _item(self, problems: Sequence[Problem]) -> dict[str, Json]:
        return {"problems": self.problems(problems), "signature": "", "exposed": {}}

    def _problem(self, problem: Problem) -> dict[str, Json]:
        told = problem_json(problem)
        if problem.code == "unknown_node_type" and isinstance(problem.got, str):
            told["message"] += self._lacking(problem.got)
        for name in ("message", "expected"):
            if isinstance(told.get(name), str):
                told[name] = self._redact(told[name])
        for name in ("got", "nearest"):
            if name in told:
                told[name] = _short(told[name])
        return told

    def _lacking(self, type_: str) -> str:
        """Say which package a node type came with that is not there any more."""
        absent = self._runtime.registry.why_absent(type_)
        package = None if absent else package_of(self._runtime.data, type_)
        return "" if package is None else f"; it came with the package {package}, which is not loaded now"


class Signatures:
    """Tells what runs that take equally long have in common: everything but free texts and seeds.

    Of a graph that shares nodes with one before only the others are looked at.
    """

    def __init__(self) -> None:
        self._parts: dict[str, tuple[Instance, str]] = {}

    def __call__(self, graph: Graph) -> str:
        """Return the signature of a graph."""
        parts = ", ".join([self._part(id, graph.nodes[id]) for id in sorted(graph.nodes)])
        text = f"[[{parts}], {json.dumps(sorted(graph.targets))}]"
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    def _part(self, id: str, node: Instance) -> str:
        known = self._parts.get(id)
        if known is None or known[0] is not node:
            links = sorted((port, *source) for port, source in node.links.items())
            text = json.dumps([id, node.spec.id, sorted(_telling(node)), links], default=repr)
            known = self._parts[id] = (node, text)
        return known[1]


def _exposed(exposed: Mapping[str, Exposed], given: Mapping[str, Json]) -> dict[str, Json]:
    found = {}
    for name, entry in exposed.items():
        value = given.get(name, entry.value)
        if value is not MISSING:
            found[name] = value[:LONGEST_VALUE] if isinstance(value, str) else _short(_plain(entry.port, value))
    return found


def _telling(node: Instance) -> Iterator[tuple[str, str]]:
    for name, value in node.params.items():
        port = node.spec.inputs.get(name)
        free = isinstance(value, str) and port is not None and port.choices is None and port.file is None
        if not free and not name.endswith("seed"):
            yield name, repr(value)[:1000]


def _plain(port: InputPort, value: Json) -> Json:
    """Return a default, which is a Python value, as JSON."""
    return value if value is None or isinstance(value, (bool, int, float, list, dict)) else port.type.dump(value)


def _short(value: object) -> Json:
    """Return a value as JSON where it is short, else what there is of it."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return _told(value)
    return value if len(text) <= LONGEST_VALUE else f"{text[:200]}..."


def _told(value: object) -> str:
    return f"a {type(value).__name__}"
