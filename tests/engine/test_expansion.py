"""Nodes that answer with nodes: for-each, repeat, loops, and expansions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph import Context, Expansion, Given, Item, Ref, Use, node
from nodegraph.engine import events
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


def body(carried: str, **more: Any) -> dict[str, Any]:
    """Return a subgraph that adds 10 to what it gets as `carried`."""
    return {
        "nodes": {"add": {"type": "Add", "params": {"b": 10}}, **more.get("nodes", {})},
        "inputs": {carried: ["add.a"], **more.get("inputs", {})},
        "outputs": more.get("outputs", {"out": "add.out"}),
    }


def for_each(count: int) -> dict[str, dict[str, Any]]:
    return {
        "n": {"type": "Numbers", "params": {"count": count}},
        "each": {"type": "ForEach", "params": {"body": "plus"}, "links": {"items": "n.out"}},
    }


def test_for_each_runs_a_subgraph_an_item_and_collects(build: Build, calls: list[str]) -> None:
    graph = build(for_each(3), subgraphs={"plus": body("item")})
    assert Executor().run(graph).nodes == {"each": {"out": [10, 11, 12]}}
    assert calls == ["n", "each/0/add", "each/1/add", "each/2/add"]


def test_inner_results_are_cached_by_their_own_recipes(build: Build, calls: list[str]) -> None:
    executor = Executor()
    subgraphs = {"plus": body("item")}
    executor.run(build(for_each(3), subgraphs=subgraphs))
    calls.clear()
    assert executor.run(build(for_each(4), subgraphs=subgraphs)).nodes["each"]["out"] == [10, 11, 12, 13]
    assert calls == ["n", "each/3/add"]
    calls.clear()
    executor.run(build({"a": {"type": "Add", "params": {"a": 2, "b": 10}}}))
    assert calls == []  # the node of the third round is this one


def test_a_loop_is_reused_whole_and_a_change_in_its_body_is_seen(build: Build, calls: list[str]) -> None:
    executor = Executor()
    graph = build(for_each(3), subgraphs={"plus": body("item")})
    executor.run(graph)
    calls.clear()
    assert executor.run(graph).reused == ("each",)
    renamed = body("item")
    renamed["nodes"]["other"] = renamed["nodes"].pop("add")
    renamed |= {"inputs": {"item": ["other.a"]}, "outputs": {"out": "other.out"}}
    assert executor.run(build(for_each(3), subgraphs={"plus": renamed})).reused == ("each",)
    changed = body("item")
    changed["nodes"]["add"]["params"]["b"] = 20
    assert executor.run(build(for_each(3), subgraphs={"plus": changed})).nodes["each"]["out"] == [20, 21, 22]
    assert calls == ["each/0/add", "each/1/add", "each/2/add"]


def test_for_each_passes_on_shared_inputs_and_the_index(build: Build) -> None:
    inner = body(
        "item", nodes={"b": {"type": "Add", "links": {"a": "add.out"}}}, inputs={"index": ["b.b"], "a": ["add.b"]},
        outputs={"out": "b.out"},
    )  # fmt: skip
    nodes = for_each(3)
    nodes["each"]["params"]["a"] = 100
    assert Executor().run(build(nodes, subgraphs={"plus": inner})).nodes["each"]["out"] == [100, 102, 104]


def test_a_thousand_rounds_each_on_the_one_before(build: Build, calls: list[str]) -> None:
    nodes: dict[str, dict[str, Any]] = {}
    nodes["r"] = {"type": "Repeat", "params": {"times": 1000, "initial": 5, "body": "plus"}}
    executor = Executor()
    assert executor.run(build(nodes, subgraphs={"plus": body("state")})).nodes == {"r": {"out": 10_005}}
    assert len(calls) == 1000
    calls.clear()
    nodes["r"]["params"]["times"] = 1003
    assert executor.run(build(nodes, subgraphs={"plus": body("state")})).nodes == {"r": {"out": 10_035}}
    assert calls == ["r/1000/add", "r/1001/add", "r/1002/add"]


def test_no_rounds_give_what_there_was(build: Build) -> None:
    nodes = {"r": {"type": "Repeat", "params": {"times": 0, "initial": 5, "body": "plus"}}}
    assert Executor().run(build(nodes, subgraphs={"plus": body("state")})).nodes == {"r": {"out": 5}}


@node("Below")
def below(a: int, limit: int = 10_000) -> bool:
    return a < limit


def until(limit: int) -> dict[str, Any]:
    less = {"type": "Below", "params": {"limit": limit}, "links": {"a": "add.out"}}
    return body("state", nodes={"less": less}, outputs={"state": "add.out", "again": "less.out"})


def test_a_loop_of_a_thousand_rounds_that_each_decide_about_the_next(build: Build, calls: list[str]) -> None:
    nodes = {"l": {"type": "Loop", "params": {"initial": 0, "limit": 2000, "body": "plus"}}}
    graph = build(nodes, below, subgraphs={"plus": until(10_000)})
    executor = Executor()
    assert executor.run(graph).nodes == {"l": {"out": 10_000}}
    assert calls[0] == "l/0/add"
    assert calls[-1] == "l/999/add"
    assert len(calls) == 1000
    assert executor.run(graph).reused == ("l",)


def test_a_loop_without_end_is_stopped_by_its_limit(build: Build) -> None:
    nodes = {"l": {"type": "Loop", "params": {"initial": 0, "limit": 3, "body": "plus"}}}
    result = Executor().run(build(nodes, below, subgraphs={"plus": until(10_000)}))
    assert "has not ended after 3 rounds" in str(next(iter(result.failures.values())))
    assert "l" in result.skipped


def test_loops_within_loops(build: Build) -> None:
    inner = {"type": "Repeat", "params": {"times": 2, "body": "plus"}}
    outer = {
        "nodes": {"r": inner}, "inputs": {"item": ["r.initial"]}, "outputs": {"out": "r.out"},
        "subgraphs": {"plus": body("state")},
    }  # fmt: skip
    nodes = for_each(3)
    nodes["each"]["params"]["body"] = "outer"
    result = Executor().run(build(nodes, subgraphs={"outer": outer}))
    assert result.nodes == {"each": {"out": [20, 21, 22]}}
    assert "each/1/r/0/add" in result.timings


def test_a_failed_round_leaves_the_others_in_the_cache(build: Build, calls: list[str]) -> None:
    broken = [1]

    @node("Picky")
    def picky(context: Context, a: int) -> int:
        calls.append(context.node)
        if a in broken:
            raise ValueError(f"not {a}")
        return a

    inner = {"nodes": {"p": {"type": "Picky"}}, "inputs": {"item": ["p.a"]}, "outputs": {"out": "p.out"}}
    graph = build(for_each(3), picky, subgraphs={"plus": inner})
    executor = Executor()
    result = executor.run(graph)
    assert set(result.failures) == {"each/1/p"}
    assert result.skipped == {"each": "each/1/p"}
    broken.clear()
    calls.clear()
    assert executor.run(graph).nodes == {"each": {"out": [0, 1, 2]}}
    assert calls == ["each/1/p"]


def test_sinks_in_a_body_run_each_time_and_what_feeds_them_is_reused(build: Build, calls: list[str]) -> None:
    inner = body("item", nodes={"save": {"type": "Sink", "links": {"value": "add.out"}}})
    graph = build(for_each(2), subgraphs={"plus": inner})
    executor = Executor()
    executor.run(graph)
    calls.clear()
    assert executor.run(graph).nodes == {"each": {"out": [10, 11]}}
    assert calls == ["each/0/save", "each/1/save"]


def test_sinks_in_bodies_within_bodies_are_reached_beside_other_sinks(build: Build, calls: list[str]) -> None:
    inner = {"nodes": {"save": {"type": "Sink"}, "n": {"type": "Number"}}, "inputs": {}, "outputs": {"out": "n.out"}}
    again = {"type": "Repeat", "params": {"times": 2, "body": "save"}}
    outer = body("item", nodes={"again": again}) | {"subgraphs": {"save": inner}}
    nodes = {**for_each(1), "other": {"type": "Sink"}}
    nodes["each"]["params"]["body"] = "outer"
    Executor().run(build(nodes, subgraphs={"outer": outer}))
    assert [call for call in calls if call.endswith("save")] == ["each/0/again/0/save", "each/0/again/1/save"]
    assert "other" in calls


def test_what_runs_each_time_within_a_body_is_not_reused(build: Build, calls: list[str]) -> None:
    rolls = iter(range(100))

    @node("Dice", cache=False)
    def dice(a: int) -> int:
        return next(rolls)

    inner = {"nodes": {"d": {"type": "Dice"}}, "inputs": {"item": ["d.a"]}, "outputs": {"out": "d.out"}}
    graph = build({**for_each(2), "sum": {"type": "Sum", "links": {"items": "each.out"}}}, dice,
                  subgraphs={"plus": inner})  # fmt: skip
    executor = Executor()
    assert [executor.run(graph).nodes["sum"]["out"] for _ in range(2)] == [1, 5]


class Thing:
    """A value without a canonical form."""

    def __init__(self, tag: int) -> None:
        self.tag = tag


@node("Tag")
def tag(thing: Thing, plus: int = 0) -> int:
    return thing.tag + plus


@node("Own")
def own(things: list[Thing], times: int) -> int | Expansion:
    """Expand into node types, items, constants, and a list."""
    uses = {
        "last": Use(tag, {"thing": Item("things", -1), "plus": Ref("first")}),
        "first": Use(tag, {"thing": Item("things", 0), "plus": Given("times")}),
    }
    return Expansion(uses, {"out": Ref("last")})


def test_an_expansion_of_ones_own_refers_forward_and_to_items(build: Build) -> None:
    @node("Things")
    def things() -> list[Thing]:
        return [Thing(1), Thing(20)]

    nodes: dict[str, dict[str, Any]]
    nodes = {"t": {"type": "Things"}, "own": {"type": "Own", "params": {"times": 300}, "links": {"things": "t.out"}}}
    executor = Executor()
    graph = build(nodes, things, own)
    assert executor.run(graph).nodes == {"own": {"out": 321}}
    nodes["own"]["params"]["times"] = 400
    again = executor.run(build(nodes, things, own))
    assert again.nodes == {"own": {"out": 421}}
    assert "t" in again.reused


def test_a_constant_that_cannot_be_named_makes_results_of_this_run_only(build: Build) -> None:
    made: list[int] = []

    @node("Fresh")
    def fresh(tag_: int) -> int | Expansion:
        made.append(tag_)
        return Expansion({"t": Use(tag, {"thing": Thing(len(made))})}, {"out": Ref("t")})

    nodes = {"f": {"type": "Fresh", "params": {"tag_": 1}}, "end": {"type": "Add", "links": {"a": "f.out"}}}
    executor = Executor()
    graph = build(nodes, fresh)
    assert [executor.run(graph).nodes["end"]["out"] for _ in range(2)] == [2, 3]


WRONG: dict[str, tuple[Callable[[], Expansion], str]] = {
    "circle": (lambda: Expansion({"a": Use(tag, {"thing": Ref("b")}), "b": Use(tag, {"thing": Ref("a")})},
                                 {"out": Ref("a")}), "goes in a circle"),
    "no output": (lambda: Expansion({}, {}), "gives no ['out']"),
    "no node": (lambda: Expansion({}, {"out": Ref("x")}), "no node 'x'"),
    "no port": (lambda: Expansion({"a": Use(tag, {"stuff": 1})}, {"out": Ref("a")}), "no input 'stuff'"),
    "no result": (lambda: Expansion({"a": Use(tag, {"thing": 1})}, {"out": Ref("a", "x")}), "no output 'x'"),
    "no given": (lambda: Expansion({"a": Use(tag, {"thing": Given("x")})}, {"out": Ref("a")}), "passes on 'x'"),
    "mixed": (lambda: Expansion({"a": Use(tag, {"thing": 1})}, {"out": [Ref("a"), 1]}), "mixes references"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_an_expansion_that_does_not_fit_fails_its_node_and_says_why(build: Build, case: str) -> None:
    make, message = WRONG[case]

    @node("Wrong")
    def wrong() -> int | Expansion:
        return make()

    assert message in str(Executor().run(build({"w": {"type": "Wrong"}}, wrong)).failures["w"])


def test_bodies_that_do_not_fit_a_loop_are_refused(build: Build) -> None:
    result = Executor().run(build(for_each(1), subgraphs={"plus": body("state")}))
    assert "needs ['state']" in str(result.failures["each"])
    two = body("item", outputs={"x": "add.out", "y": "add.out"})
    result = Executor().run(build(for_each(1), subgraphs={"plus": two}))
    assert "expected 'out' among them" in str(result.failures["each"])


def test_events_of_an_expansion_tell_of_its_nodes_by_path(build: Build) -> None:
    told: list[events.Event] = []
    Executor(emit=told.append).run(build(for_each(1), subgraphs={"plus": body("item")}))
    assert [(event.kind, event.node) for event in told if event.node != "n"] == [
        ("running", None), ("queued", "each"), ("running", "each"), ("running", "each/0/add"),
        ("finished", "each/0/add"), ("finished", "each"), ("finished", None),
    ]  # fmt: skip
