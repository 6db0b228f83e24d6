"""`nodegraph run`: run a workflow, show how far it is, and tell what came of it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import traceback
from typing import TYPE_CHECKING

from nodegraph.cli import files, outcome
from nodegraph.cli.devices import require
from nodegraph.cli.displays import display
from nodegraph.cli.exits import Exit
from nodegraph.cli.interrupts import cancelling
from nodegraph.cli.output import Results
from nodegraph.cli.questions import Person, known
from nodegraph.engine import events
from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import WorkflowError

if TYPE_CHECKING:
    from nodegraph.engine.graph import Graph
    from nodegraph.outputs import Outputs
    from nodegraph.runtime import Runtime


def main(options: argparse.Namespace) -> Exit:
    """Run a workflow."""
    started, results = time.monotonic(), Results(sys.stdout)
    # What nodes and libraries print is no result: it must not come between the files or the events.
    with contextlib.redirect_stdout(sys.stderr):
        runtime = _runtime(options)
        try:
            _, graph = files.checked(options, runtime)
        except WorkflowError as error:
            raise files.problems(error, options.file, runtime) from error
        require(options.device, graph)
        known(options.answers, graph)
        if options.explain:
            _explain(runtime, graph)
        outputs = _run(runtime, graph, options, results)
    if getattr(options, "debug", False):
        for failure in outputs.result.failures.values():
            traceback.print_exception(failure, file=sys.stderr)
    if options.events:
        results.json(outcome.as_json(outputs))
    else:
        outcome.write_results(outputs, results)
    outcome.tell(outputs, time.monotonic() - started, sys.stderr, list(graph.left_out))
    if outputs.result.cancelled:
        return Exit.CANCELLED
    if outputs.result.failures:
        return Exit.FAILED
    return Exit.WAITING if outputs.result.waiting else Exit.DONE


def _runtime(options: argparse.Namespace) -> Runtime:
    names = ("output", "data", "device", "dtype", "network_memory", "compile", "cache", "metadata", "strict")
    return files.open_runtime(options, **{name: getattr(options, name) for name in names})


def _explain(runtime: Runtime, graph: Graph) -> None:
    for decision in runtime.plan(graph).explain():
        sys.stderr.write(f"{decision}\n")
    for node, reason in graph.left_out.items():
        sys.stderr.write(f"{node}: left out, {reason}\n")


def _run(runtime: Runtime, graph: Graph, options: argparse.Namespace, results: Results) -> Outputs:
    token = CancelToken()
    screen = display(bool(options.events), token)
    with cancelling(token, announce=not screen.drawn), screen:

        def emit(event: events.Event) -> None:
            screen.show(event)
            if options.events:
                try:
                    results.json(events.dump(event))
                except BrokenPipeError:  # whoever read along has gone
                    token.cancel()

        terminal = options.file != files.STDIN and not options.events and sys.stdin.isatty() and sys.stderr.isatty()
        person = Person(options.answers, screen, token, terminal=terminal)
        return runtime.run(graph, emit=emit, cancel=token, answers=person)
