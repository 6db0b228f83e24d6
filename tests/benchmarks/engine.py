"""Measures what the engine itself costs: `python tests/benchmarks/engine.py`.

Trivial nodes in graphs of several shapes, run for the first time and run again; checks of large graphs. Each figure is
the median of several repeats after a warm-up. `--cpu` counts processor time, for a machine that has other work to do.
Exits with 1 where a figure is over its limit.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from nodegraph import node
from nodegraph.engine.check import check
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.events import Event
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.memory import MemoryCache
from nodegraph.engine.node import is_node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow
from nodegraph.nodes import control

RUN_LIMIT, CACHED_LIMIT = 50.0, 10.0
"""Microseconds that a trivial node may cost."""
CHECK_LIMIT = 1.0
"""Seconds that the check of 10 000 nodes may take, whether they can run or are a cycle."""
LIMITS = Limits(nodes=200_000)


@node("bench.Start")
def start(value: int = 0) -> int:
    """Give a number."""
    return value


@node("bench.Step")
def step(a: int, by: int = 1) -> int:
    """Add to a number."""
    return a + by


@node("bench.Join")
def join(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


CONTROL = [value for value in vars(control).values() if is_node(value)]
REGISTRY = Registry(spec_of(function) for function in (start, step, join, *CONTROL))
Nodes = dict[str, dict[str, Any]]


def chain(length: int, prefix: str = "", value: int = 0) -> Nodes:
    """Return nodes that each read the one before."""
    nodes: Nodes = {f"{prefix}0": {"type": "bench.Start", "params": {"value": value}}}
    for index in range(1, length):
        nodes[f"{prefix}{index}"] = {"type": "bench.Step", "links": {"a": f"{prefix}{index - 1}.out"}}
    return nodes


def grid(rows: int, columns: int) -> Nodes:
    """Return rows of nodes, each of which reads its left and its upper neighbour."""
    nodes = chain(columns, "0-")
    for row in range(1, rows):
        nodes[f"{row}-0"] = {"type": "bench.Step", "links": {"a": f"{row - 1}-0.out"}}
        for column in range(1, columns):
            links = {"a": f"{row}-{column - 1}.out", "b": f"{row - 1}-{column}.out"}
            nodes[f"{row}-{column}"] = {"type": "bench.Join", "links": links}
    return nodes


def tree(leaves: int) -> Nodes:
    """Return leaves that are joined two by two until one is left."""
    nodes: Nodes = {f"leaf{i}": {"type": "bench.Start", "params": {"value": i}} for i in range(leaves)}
    level = list(nodes)
    while len(level) > 1:
        joined = []
        for a, b in zip(level[::2], level[1::2], strict=True):
            joined.append(f"{a}-{b.removeprefix('leaf')}")
            nodes[joined[-1]] = {"type": "bench.Join", "links": {"a": f"{a}.out", "b": f"{b}.out"}}
        level = joined
    return nodes


def document(nodes: Nodes, **parts: Any) -> dict[str, Any]:
    return {"format": 1, "nodes": nodes, **parts}


def checked(nodes: Nodes, **parts: Any) -> Graph:
    return check(load_workflow(document(nodes, **parts), LIMITS), REGISTRY, limits=LIMITS)


def rounds(count: int) -> Graph:
    """Return a loop over a subgraph of one node."""
    body = {"nodes": {"s": {"type": "bench.Step"}}, "inputs": {"state": ["s.a"]}, "outputs": {"out": "s.out"}}
    loop = {"type": "Repeat", "params": {"times": count, "initial": 0, "body": "body"}}
    return checked({"loop": loop}, subgraphs={"body": body})


def mapped(count: int) -> Graph:
    """Return a node mapped over a list."""
    numbers = {"type": "Range", "params": {"stop": count}}
    return checked({"n": numbers, "s": {"type": "bench.Step", "links": {"a": "n.out"}}})


@dataclass(frozen=True)
class Clock:
    """Takes the median of repeats."""

    now: Callable[[], float]
    repeats: int

    def median(self, work: Callable[[], object], before: Callable[[], object] = gc.collect) -> float:
        """Return how many seconds `work` takes, what is done `before` each time not counted."""
        times = []
        for turn in range(self.repeats + 1):
            before()
            started = self.now()
            work()
            if turn:  # the first warms up
                times.append(self.now() - started)
        return statistics.median(times)


def measure_runs(clock: Clock, graph: Graph, listener: Callable[[Event], object] | None = None) -> tuple[float, float]:
    """Return the seconds of a first run and of one that finds everything in the cache."""
    executors: list[Executor] = []

    def fresh() -> None:
        executors[:] = [Executor(MemoryCache(), emit=listener)]
        gc.collect()

    first = clock.median(lambda: executors[0].run(graph).check(), fresh)
    return first, clock.median(lambda: executors[0].run(graph).check())


def run_table(clock: Clock) -> tuple[Table, bool]:
    """Return the table of what a node costs, and whether each figure is within its limit."""
    table = Table(title="One trivial node, in microseconds (median; memory cache)")
    for name in ("graph", "nodes", f"first run (limit {RUN_LIMIT:g})", f"cached (limit {CACHED_LIMIT:g})"):
        table.add_column(name, justify="left" if name == "graph" else "right")
    heard: list[None] = []
    cases: list[tuple[str, int, Graph, Callable[[Event], object] | None]] = [
        ("chain", 1_000, checked(chain(1_000)), None),
        ("chain", 10_000, checked(chain(10_000)), None),
        ("chain", 50_000, checked(chain(50_000)), None),
        ("grid 10 x 100", 1_000, checked(grid(10, 100)), None),
        ("tree of 512 leaves", 1_023, checked(tree(512)), None),
        ("mapped over a list", 1_000, mapped(1_000), None),
        ("rounds of a loop", 1_000, rounds(1_000), None),
        ("chain, with a listener", 1_000, checked(chain(1_000)), lambda event: heard.append(None)),
    ]
    good = True
    for name, count, graph, listener in cases:
        first, cached = (seconds / count * 1e6 for seconds in measure_runs(clock, graph, listener))
        good &= first <= RUN_LIMIT and cached <= CACHED_LIMIT
        table.add_row(name, f"{count:,}", told(first, RUN_LIMIT), told(cached, CACHED_LIMIT))
    return table, good


def check_table(clock: Clock) -> tuple[Table, bool]:
    """Return the table of what checks take."""
    table = Table(title=f"Checking 10 000 nodes, in seconds (median; limit {CHECK_LIMIT:g})")
    table.add_column("graph")
    table.add_column("seconds", justify="right")
    cycle = chain(10_000)
    cycle["0"] = {"type": "bench.Step", "links": {"a": "9999.out"}}

    def refuse() -> None:
        codes: list[str] = []
        try:
            checked(cycle)
        except WorkflowError as error:
            codes = [problem.code for problem in error.problems]
        if "cycle" not in codes:
            raise RuntimeError("the cycle was not seen")

    good = True
    for name, work in (
        ("chain", lambda: checked(chain(10_000))),
        ("grid 100 x 100", lambda: checked(grid(100, 100))),
        ("cycle, named", refuse),
    ):
        seconds = clock.median(work)
        good &= seconds <= CHECK_LIMIT
        table.add_row(name, told(seconds, CHECK_LIMIT, 3))
    return table, good


def told(figure: float, limit: float, digits: int = 1) -> str:
    return f"[{'green' if figure <= limit else 'red'}]{figure:.{digits}f}[/]"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpu", action="store_true", help="count processor time, not wall clock")
    options = parser.parse_args()
    clock = Clock(time.process_time if options.cpu else time.perf_counter, options.repeats)
    console = Console()
    results = [run_table(clock), check_table(clock)]
    for table, _ in results:
        console.print(table)
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
