"""The workflow that a command is given: read, with its values set, and checked."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from nodegraph.cli.assign import assign
from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.folders import collection
from nodegraph.engine.errors import Problem, WorkflowError

if TYPE_CHECKING:
    from nodegraph.engine.document import Workflow
    from nodegraph.engine.graph import Graph
    from nodegraph.runtime import Runtime

STDIN = "-"


def open_runtime(options: argparse.Namespace, **more: Any) -> Runtime:
    """Return the runtime that a command's options ask for; `more` are further options of it."""
    from nodegraph.runtime import Options, Runtime

    found = collection(options)
    inputs = (*getattr(options, "input", ()), *found.input)
    return Runtime(Options(models=found.roots, folders=found.folders, input=inputs, **more))


def read(options: argparse.Namespace, runtime: Runtime) -> Workflow:
    """Read the workflow that the command line names."""
    if options.file == STDIN:
        return runtime.load(sys.stdin.buffer.read())
    try:
        return runtime.load(options.file)
    except FileNotFoundError as error:
        raise CommandError(f"{options.file}: no such file") from error


def checked(options: argparse.Namespace, runtime: Runtime) -> tuple[Workflow, Graph]:
    """Return the workflow with the values that the command line sets, and its graph."""
    workflow = read(options, runtime)
    workflow, inputs = assign(workflow, runtime.registry, options.values, options.seed)
    return workflow, runtime.check(workflow, inputs)


def problems(error: WorkflowError, file: str, runtime: Runtime) -> CommandError:
    """Return a workflow's problems as the message that ends a command: one a line, by node and field."""
    name = "the workflow on stdin" if file == STDIN else file
    count = len(error.problems)
    lines = [f"{name}: 1 problem" if count == 1 else f"{name}: {count} problems"]
    lines += [f"  {problem}" for problem in error.problems]
    lines += _set_aside(error.problems, runtime)
    return CommandError("\n".join(lines), Exit.INVALID)


def _set_aside(found: tuple[Problem, ...], runtime: Runtime) -> list[str]:
    """Say so where a node type may be unknown because its plugin failed."""
    if not any(problem.code == "unknown_node_type" for problem in found):
        return []
    names = [state.name for state in runtime.plugins.report if state.state == "quarantined"]
    return [f"set aside: {', '.join(names)}; 'nodegraph plugins' tells why"] if names else []
