"""`nodegraph check`: what is wrong with a workflow, or what can be set in it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nodegraph.cli import files
from nodegraph.cli.assign import expected, parameters, settable
from nodegraph.cli.exits import Exit
from nodegraph.cli.output import plain, write_json, write_line
from nodegraph.cli.text import several
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.exposed import Exposed
from nodegraph.engine.spec import MISSING, Json

if TYPE_CHECKING:
    from nodegraph.engine.document import Workflow
    from nodegraph.engine.graph import Graph
    from nodegraph.runtime import Runtime


def main(options: argparse.Namespace) -> Exit:
    """Check a workflow: nothing runs and torch is not needed."""
    runtime = files.open_runtime(options)
    try:
        workflow, graph = files.checked(options, runtime)
    except WorkflowError as error:
        if not options.json:
            raise files.problems(error, options.file, runtime) from error
        write_json({"ok": False, "problems": [plain(asdict(problem)) for problem in error.problems]})
        return Exit.INVALID
    if options.json:
        told = {"nodes": len(graph.nodes), "targets": list(graph.targets), "left_out": dict(graph.left_out)}
        write_json({"ok": True, "problems": [], **told})
    else:
        _tell(options.file, workflow, graph, runtime)
    return Exit.DONE


def _tell(file: str, workflow: Workflow, graph: Graph, runtime: Runtime) -> None:
    name = "the workflow on stdin" if file == files.STDIN else file
    write_line(f"{name}: ok, {several(len(graph.nodes), 'node')}, reaching for {', '.join(graph.targets)}")
    for node, reason in graph.left_out.items():
        write_line(f"{node} is left out: {reason}")
    names = settable(workflow, runtime.registry)
    listed = names or parameters(workflow, runtime.registry)
    if listed:
        write_line("what --set can set" + (":" if names else ", as no input has a name of its own:"))
    width = max(map(len, listed), default=0)
    for name, entry in listed.items():
        write_line(f"  {name:<{width}}  {expected(entry.port)}{_now(entry)}")


def _now(entry: Exposed) -> str:
    """Return what the input is if it is not set."""
    value: Json = entry.value
    if value is MISSING:
        return ""
    if value is entry.port.default and entry.port.type.data:
        value = entry.port.type.dump(value)
    return f"; now {json.dumps(value, ensure_ascii=False)}"
