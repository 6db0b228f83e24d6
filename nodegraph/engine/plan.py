"""A plan: what of a graph must run for its targets, and what the cache has."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import chain

from nodegraph.engine.cache import Entry
from nodegraph.engine.demand import Demand
from nodegraph.engine.explain import Decision, History, explain
from nodegraph.engine.graph import Graph
from nodegraph.engine.naming import Namer
from nodegraph.engine.splice import is_sink
from nodegraph.engine.task import PENDING, State, Task


class Plan:
    """What is to be done for the targets of a graph; it holds the results that it found in the cache.

    A plan is run once; to run it again is to plan again.
    """

    def __init__(self, graph: Graph, targets: Sequence[str], demand: Demand, history: History) -> None:
        self.graph, self.targets = graph, tuple(targets)
        self.demand = demand
        self.used = False
        """Whether it has been run."""
        for task in demand.tasks.values():
            if task.counted and task.state in PENDING:
                task.before = history.last(task)

    @property
    def waiting(self) -> tuple[Task, ...]:
        """Return the tasks that are to run for certain."""
        return tuple(task for task in self.demand.tasks.values() if task.state in (State.READY, State.WAITING))

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the nodes that are to run for certain."""
        return tuple(task.id for task in self.waiting)

    @property
    def reused(self) -> tuple[str, ...]:
        """Return the nodes whose results the cache has."""
        return tuple(task.id for task in self.demand.tasks.values() if task.hit)

    def explain(self) -> tuple[Decision, ...]:
        """Tell of each node upstream of the targets what is meant to happen, and why."""
        return explain(self.demand.tasks.values())


def make_plan(
    graph: Graph, targets: Collection[str], cache: MutableMapping[str, Entry], namer: Namer, history: History
) -> Plan:
    """Walk back from the targets; raise `KeyError` where the graph has no such node."""
    unknown = [target for target in targets if target not in graph.nodes]
    if unknown:
        left_out = graph.left_out.get(unknown[0])
        why = f"the graph has no node {unknown[0]!r}" if left_out is None else f"{unknown[0]!r} is left out: {left_out}"
        raise KeyError(why)
    demand = Demand(cache, namer)
    tasks, needed = demand.tasks, _upstream(graph, targets)
    with _no_collection():
        for id, instance in graph.nodes.items():
            if id in needed:
                links = {port: (tasks[source.node], source.output) for port, source in instance.links.items()}
                task = tasks[id] = Task(id, instance, namer.signature(instance.spec), links)
                namer.name(task)
    wanted = [tasks[target] for target in dict.fromkeys(targets)]
    for task in wanted:
        task.holds += 1
    demand.want(wanted)
    return Plan(graph, tuple(targets), demand, history)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Put the garbage collector off while many objects are made and none is dropped: it would look in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def default_targets(graph: Graph) -> tuple[str, ...]:
    """Return what a run of the whole graph must reach: its targets, what expands into sinks, its named outputs."""
    exposed = (source.node for source in graph.outputs.values())
    expanding = (id for id, instance in graph.nodes.items() if instance.params and is_sink(instance))
    return tuple(dict.fromkeys(chain(graph.targets, expanding, exposed)))


def _upstream(graph: Graph, targets: Collection[str]) -> set[str]:
    needed = set(targets)
    for instance in reversed(tuple(graph.nodes.values())):
        if instance.id in needed:
            for source in instance.links.values():
                needed.add(source.node)
    return needed
