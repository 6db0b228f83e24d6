"""Random graphs, run again and again while they change, against the plainest evaluation there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from nodegraph import Body, Expansion, Given, Item, Lazy, Ref, Use, node
from nodegraph.engine.cache import Entry
from nodegraph.engine.check import check
from nodegraph.engine.context import CancelToken
from nodegraph.engine.events import Event
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph
from nodegraph.engine.memory import MemoryCache
from nodegraph.engine.node import spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.task import State
from nodegraph.engine.workflow import load_workflow

WORLD: dict[int, int] = {}
"""What nodes that run each time find outside, by place."""


class Lost(Exception):  # noqa: N818 - it stands for a result that is not there
    """The plain evaluation met a failure."""


class Opaque:
    """A value without a canonical form."""

    def __init__(self, number: int) -> None:
        self.number = number


@node("Look", cache=False)
def look(place: int) -> int:
    return WORLD[place]


@node("Plus")
def plus(a: int, b: int = 1) -> int:
    return a + b


@node("Picky")
def picky(a: int) -> int:
    if a % 5 == 0:
        raise ValueError("a multiple of 5")
    return a


@node("Odd")
def odd(a: int) -> bool:
    return a % 2 == 1


@node("Choose")
def choose(which: int, then: Lazy[int], otherwise: Lazy[int]) -> int:
    return then.get() if which % 2 else otherwise.get()


@node("Spread")
def spread(a: int) -> list[int]:
    return [a + index for index in range(a % 4)]


@node("Total")
def total(items: list[int]) -> int:
    return sum(items)


@node("Wrap")
def wrap(a: int) -> Opaque:
    return Opaque(a)


@node("Unwrap")
def unwrap(a: Opaque) -> int:
    return a.number


@node("Fresh", cache=False)
def fresh(a: int) -> Opaque:
    return Opaque(a)


@node("Each")
def each(items: list[int], body: Body) -> list[int] | Expansion:
    uses = {str(index): Use(body, {"item": Item("items", index)}) for index in range(len(items))}
    return Expansion(uses, {"out": [Ref(name, "out") for name in uses]})


@node("Twice")
def twice(a: int, b: Lazy[int]) -> int | Expansion:
    """Read a lazy input through an expansion, or not at all."""
    if a % 3 == 0:
        return a
    uses = {"x": Use(plus, {"a": Given("b"), "b": Ref("y")}), "y": Use(plus, {"a": Given("a")})}
    return Expansion(uses, {"out": Ref("x")})


@node("Later")
async def later(a: int, b: Lazy[int]) -> int:
    await asyncio.sleep(0)
    return a if a % 2 else b.get()


@node("End", output=True)
def end(a: int) -> None:
    return None


FUNCTIONS = (look, plus, picky, odd, choose, spread, total, wrap, unwrap, fresh, each, twice, later, end)
REGISTRY = Registry(spec_of(function) for function in FUNCTIONS)
BODY = {"nodes": {"p": {"type": "Picky"}, "q": {"type": "Plus", "links": {"a": "p.out"}}},
        "inputs": {"item": ["p.a"]}, "outputs": {"out": "q.out"}}  # fmt: skip
PORTS: dict[str, dict[str, str]] = {
    "Plus": {"a": "int", "b": "int"}, "Picky": {"a": "int"}, "Spread": {"a": "int"}, "Total": {"items": "list"},
    "Choose": {"which": "int", "then": "int", "otherwise": "int"}, "Wrap": {"a": "int"}, "Unwrap": {"a": "opaque"},
    "Fresh": {"a": "int"}, "Each": {"items": "list"}, "Twice": {"a": "int", "b": "int"},
    "Mapped": {"a": "list", "b": "int"}, "Later": {"a": "int", "b": "int"},
}  # fmt: skip
GIVES = {"Spread": "list", "Each": "list", "Mapped": "list", "Wrap": "opaque", "Fresh": "opaque"}


def random_nodes(random: Random, size: int) -> dict[str, dict[str, Any]]:
    """Return nodes of which each may read those before it."""
    nodes: dict[str, dict[str, Any]] = {}
    by_type: dict[str, list[str]] = {"int": [], "list": [], "opaque": []}
    for index in range(size):
        fitting = [kind for kind, ports in PORTS.items() if all(by_type[type_] for type_ in ports.values())]
        id = f"n{index}"
        if not fitting or random.random() < 0.2:
            nodes[id] = {"type": "Look", "params": {"place": random.randrange(4)}}
            if random.random() < 0.6:
                nodes[id] = {"type": "Plus", "params": {"a": random.randrange(10)}}
            by_type["int"].append(id)
            continue
        kind = random.choice(fitting)
        links = {port: f"{random.choice(by_type[type_][-6:])}.out" for port, type_ in PORTS[kind].items()}
        nodes[id] = {"type": "Plus" if kind == "Mapped" else kind, "links": links, "params": {}}
        if kind == "Each":
            nodes[id]["params"] = {"body": "body"}
        by_type[GIVES.get(kind, "int")].append(id)
    for index, id in enumerate(random.sample(by_type["int"], min(2, len(by_type["int"])))):
        nodes[f"end{index}"] = {"type": "End", "links": {"a": f"{id}.out"}}
    return nodes


def plain(nodes: Mapping[str, Mapping[str, Any]], id: str) -> Any:
    """Work a node out by recursion, with no cache; raise `Lost` where it fails."""
    entry = nodes[id]

    def get(port: str, default: Any = None) -> Any:
        link = entry.get("links", {}).get(port)
        return entry["params"].get(port, default) if link is None else plain(nodes, link.removesuffix(".out"))

    def take(a: int) -> int:
        if a % 5 == 0:
            raise Lost
        return a

    match entry["type"]:
        case "Look":
            return WORLD[entry["params"]["place"]]
        case "Plus":
            a, b = get("a"), get("b", 1)
            return [item + b for item in a] if isinstance(a, list) else a + b
        case "Picky":
            return take(get("a"))
        case "Choose":
            return get("then") if get("which") % 2 else get("otherwise")
        case "Spread":
            return [get("a") + index for index in range(get("a") % 4)]
        case "Total":
            return sum(get("items"))
        case "Later":
            return get("a") if get("a") % 2 else get("b")
        case "Each":
            return [take(item) + 1 for item in get("items")]
        case "Twice":
            return get("a") if get("a") % 3 == 0 else get("b") + get("a") + 1
    return get("a")


def change(random: Random, nodes: dict[str, dict[str, Any]]) -> None:
    """Change a number that was typed, or what there is outside."""
    typed = [entry for entry in nodes.values() if entry["type"] == "Plus" and "a" in entry["params"]]
    if typed and random.random() < 0.6:
        random.choice(typed)["params"]["a"] = random.randrange(10)
    else:
        WORLD[random.randrange(4)] = random.randrange(10)


def graph_of(nodes: Mapping[str, Any]) -> Graph:
    return check(load_workflow({"format": 1, "nodes": nodes, "subgraphs": {"body": BODY}}), REGISTRY)


def cancel_on_the_way(executor: Executor, graph: Graph, targets: list[str], after: int) -> None:
    """Run a graph and cancel it when so many events have been told."""
    token, told = CancelToken(), list[Event]()

    def listen(event: Event) -> None:
        told.append(event)
        if len(told) >= after:
            token.cancel()

    executor.run(executor.plan(graph, targets), token, emit=listen)


@pytest.mark.parametrize("seed", range(60))
def test_a_graph_that_changes_gives_what_plain_evaluation_gives(seed: int) -> None:
    random = Random(seed)
    WORLD.update({place: random.randrange(10) for place in range(4)})
    nodes = random_nodes(random, random.randrange(4, 30))
    caches: list[Any] = [dict[str, Entry](), MemoryCache(budget=20_000), MemoryCache(budget=0)]
    executor = Executor(caches[seed % 3], check_mutation=seed % 2 == 0)
    for _ in range(12):
        graph = graph_of(nodes)
        targets = [*(id for id in nodes if id.startswith("end")), *random.sample(list(nodes), 2)]
        if random.random() < 0.3:
            cancel_on_the_way(executor, graph, targets, random.randrange(1, 20))
        plan = executor.plan(graph, targets)
        result = executor.run(plan)
        for target in dict.fromkeys(targets):
            try:
                expected = plain(nodes, target)
            except Lost:
                assert target in result.failures or target in result.skipped
                continue
            if not target.startswith("end"):
                value = result.nodes[target]["out"]
                assert (value.number if isinstance(value, Opaque) else value) == expected
            assert target in result.nodes
        for task in plan.demand.tasks.values():
            assert task.state not in (State.READY, State.RUNNING, State.EXPANDED)
            assert task.holds == (targets.count(task.id) > 0), task
            assert task.id in targets or task.values is None, task
        change(random, nodes)
