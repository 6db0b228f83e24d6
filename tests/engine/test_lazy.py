"""Lazy inputs: only the branch that is asked for runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph import Context, Lazy, node
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


def number(value: int) -> dict[str, Any]:
    return {"type": "Number", "params": {"value": value}}


def choice(condition: bool | str, then: str, otherwise: str) -> dict[str, Any]:
    wired = {"condition": condition} if isinstance(condition, str) else {}
    typed = {} if wired else {"condition": condition}
    return {"type": "If", "params": typed, "links": {**wired, "then": then, "otherwise": otherwise}}


def plus(source: str) -> dict[str, Any]:
    return {"type": "Add", "links": {"a": source}}


def branches(condition: bool) -> dict[str, Any]:
    return {
        "a": number(1), "a2": plus("a.out"), "b": number(10), "b2": plus("b.out"),
        "if": choice(condition, "a2.out", "b2.out"), "end": plus("if.out"),
    }  # fmt: skip


@pytest.mark.parametrize(("condition", "ran", "value"), [(True, ["a", "a2"], 3), (False, ["b", "b2"], 12)])
def test_only_the_branch_taken_runs(
    build: Build, calls: list[str], condition: bool, ran: list[str], value: int
) -> None:
    result = Executor().run(build(branches(condition)))
    assert calls == [*ran, "end"]
    assert result.nodes == {"end": {"out": value}}


def test_a_switch_is_cached_as_any_node(build: Build, calls: list[str]) -> None:
    executor = Executor()
    executor.run(build(branches(True)))
    calls.clear()
    executor.run(build(branches(False)))
    assert calls == ["b", "b2", "end"]
    calls.clear()
    assert executor.run(build(branches(True))).nodes == {"end": {"out": 3}}
    assert calls == []


def test_the_switch_runs_again_but_the_branch_taken_is_reused(build: Build, calls: list[str]) -> None:
    executor = Executor()
    executor.run(build(branches(True)))
    calls.clear()
    changed = branches(True)
    changed["b"] = number(99)
    executor.run(build(changed))
    assert calls == ["end"]  # the other branch is part of the switch's recipe, but did not run


def test_nodes_behind_each_other_ask_without_recursion(build: Build, calls: list[str]) -> None:
    depth = 3000
    nodes: dict[str, Any] = {"0": number(7), "no": number(0)}
    nodes.update((str(index), choice(True, f"{index - 1}.out", "no.out")) for index in range(1, depth))
    assert Executor().run(build(nodes)).nodes == {str(depth - 1): {"out": 7}}
    assert calls == ["0"]


def test_a_shared_source_is_kept_until_no_branch_can_want_it(build: Build, calls: list[str]) -> None:
    nodes = {
        "shared": number(5), "first": plus("shared.out"), "late": {"type": "Add", "links": {"a": "shared.out"}},
        "is": {"type": "Positive", "links": {"a": "first.out"}}, "if": choice("is.out", "late.out", "first.out"),
    }  # fmt: skip

    @node("Positive")
    def positive(a: int) -> bool:
        return a > 0

    cache: dict[str, Any] = NoCache()
    assert Executor(cache).run(build(nodes, positive)).nodes == {"if": {"out": 6}}
    assert calls.count("shared") == 1


class NoCache(dict[str, Any]):
    """Keeps nothing, so that what is not held has to run again."""

    def __setitem__(self, key: str, value: Any) -> None:
        return


def test_a_failed_branch_skips_the_switch_only_if_it_is_taken(build: Build) -> None:
    nodes = {"bad": {"type": "Fail"}, "good": number(1)}
    taken = Executor().run(build({**nodes, "if": choice(True, "bad.out", "good.out")}))
    assert taken.skipped == {"if": "bad"}
    assert Executor().run(build({**nodes, "if": choice(False, "bad.out", "good.out")})).ok


def test_switch_takes_an_input_by_number_and_refuses_one_that_is_not_wired(build: Build, calls: list[str]) -> None:
    nodes = {"a": number(1), "b": number(2)}
    switch = {"type": "Switch", "params": {"select": 1}, "links": {"a": "a.out", "b": "b.out"}}
    assert Executor().run(build({**nodes, "s": switch})).nodes == {"s": {"out": 2}}
    assert calls == ["b"]
    open_ = {**switch, "params": {"select": 3}}
    assert "nothing is wired to `d`" in str(Executor().run(build({**nodes, "s": open_})).failures["s"])


def test_a_branch_that_runs_each_time_does_not_run_for_its_name(build: Build, calls: list[str]) -> None:
    @node("Clock", cache=False)
    def clock(context: Context) -> int:
        calls.append(context.node)
        return len(calls)

    nodes = {"now": {"type": "Clock"}, "fixed": number(4), "if": choice(False, "now.out", "fixed.out")}
    graph = build({**nodes, "end": plus("if.out")}, clock)
    executor = Executor()
    assert executor.run(graph).nodes == {"end": {"out": 5}}
    assert calls == ["fixed", "end"]
    calls.clear()
    executor.run(graph)
    assert calls == []  # the switch is asked anew, and what it read is known


def test_a_branch_that_runs_each_time_is_named_by_what_it_gave(build: Build, calls: list[str]) -> None:
    rolls = iter([6, 6, 2])

    @node("Dice", cache=False)
    def dice() -> int:
        return next(rolls)

    nodes = {"dice": {"type": "Dice"}, "fixed": number(4), "if": choice(True, "dice.out", "fixed.out")}
    graph = build({**nodes, "end": plus("if.out")}, dice)
    executor = Executor()
    assert [executor.run(graph).nodes["end"]["out"] for _ in range(3)] == [7, 7, 3]
    assert calls == ["end", "end"]


def test_lazy_inputs_may_be_typed_and_left_out(build: Build) -> None:
    @node("Either")
    def either(first: Lazy[int], second: Lazy[int] | None = None) -> int:
        return first.get() + (0 if second is None else second.get())

    assert Executor().run(build({"e": {"type": "Either", "params": {"first": 3}}}, either)).nodes == {"e": {"out": 3}}


def test_the_record_of_a_result_leaves_the_other_branch_out(build: Build) -> None:
    told: list[str] = []

    @node("Record")
    def record(context: Context, value: int) -> int:
        told.extend(ancestor.id for ancestor in context.upstream())
        return value

    nodes = {**branches(True), "record": {"type": "Record", "links": {"value": "end.out"}}}
    Executor().run(build(nodes, record))
    assert told == ["a", "a2", "if", "end", "record"]
