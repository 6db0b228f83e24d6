"""What a run of a graph is to reach, as whoever runs it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.graph import Graph
from nodegraph.engine.nearest import nearest


def aimed(graph: Graph, targets: Sequence[str] = ()) -> Graph:
    """Return a graph that runs to the targets, or to its own where there are none.

    Raise `WorkflowError` for targets that are no nodes or are left out, and where nothing is left to run.
    """
    problems = list(_wrong(graph, targets))
    if problems:
        raise WorkflowError(problems)
    return replace(graph, targets=tuple(dict.fromkeys(targets))) if targets else graph


def _wrong(graph: Graph, targets: Sequence[str]) -> Iterator[Problem]:
    for name in targets:
        if name in graph.left_out:
            message = f"{name!r} is to be reached, but is left out: {graph.left_out[name]}"
            yield Problem("target_left_out", message, node=name, field="targets")
        elif name not in graph.nodes:
            message = f"there is no node {name!r} to reach"
            yield Problem("unknown_target", message, field="targets", got=name, nearest=nearest(name, graph.nodes))
    if targets or not graph.left_out:
        return
    from nodegraph.engine.plan import default_targets  # what a mere check need not import

    if not default_targets(graph):
        node, reason = next(iter(graph.left_out.items()))
        yield Problem("nothing_left", f"nothing is left to run: {node!r} is left out, as {reason}", node=node)
