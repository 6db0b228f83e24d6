"""Nodes that are mapped over lists: one run an item, each with a recipe of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph import Context, node
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


class Thing:
    """A value without a canonical form."""

    def __init__(self, tag: int) -> None:
        self.tag = tag


def over(kind: str, **links: str) -> dict[str, Any]:
    return {"type": kind, "links": links}


def numbers(count: int) -> dict[str, Any]:
    return {"type": "Numbers", "params": {"count": count}}


def test_a_node_runs_once_an_item_and_gives_a_list(build: Build, calls: list[str]) -> None:
    result = Executor().run(
        build({"n": numbers(3), "add": over("Add", a="n.out"), "sum": over("Sum", items="add.out")})
    )
    assert calls == ["n", "add/0", "add/1", "add/2", "sum"]
    assert result.nodes == {"sum": {"out": 6}}


def test_a_mapped_node_that_is_a_target_gives_the_list(build: Build) -> None:
    result = Executor().run(build({"n": numbers(3), "add": over("Add", a="n.out")}))
    assert result.nodes == {"add": {"out": [1, 2, 3]}}


def test_an_empty_list_runs_nothing(build: Build, calls: list[str]) -> None:
    result = Executor().run(build({"n": numbers(0), "add": over("Add", a="n.out")}))
    assert result.nodes == {"add": {"out": []}}
    assert calls == ["n"]


def test_lists_go_in_step_and_one_item_goes_with_any(build: Build) -> None:
    nodes = {"n": numbers(3), "m": {"type": "Range", "params": {"start": 10, "stop": 13}}}
    assert Executor().run(build({**nodes, "add": over("Add", a="n.out", b="m.out")})).nodes["add"]["out"] == [
        10,
        12,
        14,
    ]
    nodes["m"]["params"]["stop"] = 11
    assert Executor().run(build({**nodes, "add": over("Add", a="n.out", b="m.out")})).nodes["add"]["out"] == [
        10,
        11,
        12,
    ]


def test_lists_of_unequal_length_are_an_error_that_names_both(build: Build) -> None:
    nodes = {"n": numbers(3), "m": numbers(2), "add": over("Add", a="n.out", b="m.out")}
    failure = Executor().run(build(nodes)).failures["add"]
    assert "`a` has 3" in str(failure)
    assert "`b` has 2" in str(failure)


def test_one_more_item_runs_one_more(build: Build, calls: list[str]) -> None:
    executor = Executor()
    chain = {"add": over("Add", a="n.out"), "more": {**over("Add", a="add.out"), "params": {"b": 10}}}
    executor.run(build({"n": numbers(3), **chain}))
    calls.clear()
    result = executor.run(build({"n": numbers(4), **chain}))
    assert calls == ["n", "add/3", "more/3"]
    assert result.nodes["more"]["out"] == [11, 12, 13, 14]


def test_items_without_a_canonical_form_are_told_apart_by_their_list(build: Build, calls: list[str]) -> None:
    @node("Things")
    def things(count: int) -> list[Thing]:
        return [Thing(index) for index in range(count)]

    @node("Tag")
    def tag(context: Context, thing: Thing) -> int:
        calls.append(context.node)
        return thing.tag

    @node("Double")
    def double(context: Context, tag: int) -> int:
        calls.append(context.node)
        return 2 * tag

    def graph(count: int) -> Graph:
        nodes = {"make": {"type": "Things", "params": {"count": count}}, "tag": over("Tag", thing="make.out")}
        return build({**nodes, "double": over("Double", tag="tag.out")}, things, tag, double)

    executor = Executor()
    assert executor.run(graph(2)).nodes["double"]["out"] == [0, 2]
    calls.clear()
    executor.run(graph(2))
    assert calls == []
    assert executor.run(graph(3)).nodes["double"]["out"] == [0, 2, 4]
    assert calls == ["tag/0", "tag/1", "tag/2", "double/2"]  # the tags are plain data, and two of them are known


def test_the_record_of_an_item_goes_back_to_what_made_the_list(build: Build) -> None:
    told: list[tuple[str, ...]] = []

    @node("Things")
    def things(count: int) -> list[Thing]:
        return [Thing(index) for index in range(count)]

    @node("Paint")
    def paint(thing: Thing) -> Thing:
        return Thing(thing.tag + 1)

    @node("Record", output=True)
    def record(context: Context, thing: Thing) -> None:
        told.append(tuple(ancestor.id for ancestor in context.upstream()))

    nodes = {"n": {"type": "Number", "params": {"value": 2}}, "t": over("Things", count="n.out")}
    more = {"p": over("Paint", thing="t.out"), "r": over("Record", thing="p.out")}
    assert Executor().run(build({**nodes, **more}, things, paint, record)).ok
    assert told == [("n", "t", "p", "r/0"), ("n", "t", "p", "r/1")]


def test_items_after_a_failed_one_run_and_are_kept(build: Build, calls: list[str]) -> None:
    broken = [1]

    @node("Picky")
    def picky(context: Context, a: int) -> int:
        calls.append(context.node)
        if a in broken:
            raise ValueError(f"not {a}")
        return a

    graph = build({"n": numbers(3), "p": over("Picky", a="n.out"), "sum": over("Sum", items="p.out")}, picky)
    executor = Executor()
    result = executor.run(graph)
    assert calls == ["n", "p/0", "p/1", "p/2"]
    assert "not 1" in str(result.failures["p/1"])
    assert result.skipped == {"p": "p/1", "sum": "p/1"}
    broken.clear()
    calls.clear()
    assert executor.run(graph).nodes == {"sum": {"out": 3}}
    assert calls == ["p/1", "sum"]


def test_a_list_goes_whole_where_a_list_is_asked_for(build: Build, calls: list[str]) -> None:
    assert Executor().run(build({"n": numbers(4), "sum": over("Sum", items="n.out")})).nodes == {"sum": {"out": 6}}
    assert calls == ["n", "sum"]


def test_a_sink_is_mapped_too(build: Build, calls: list[str]) -> None:
    graph = build({"n": numbers(2), "save": over("Store", value="n.out")}, store(calls))
    executor = Executor()
    executor.run(graph)
    executor.run(graph)
    assert calls == ["n", "save/0", "save/1", "save/0", "save/1"]


def store(calls: list[str]) -> Callable[..., None]:
    @node("Store", output=True)
    def run(context: Context, value: int) -> None:
        calls.append(context.node)

    return run


@pytest.mark.parametrize("value", [3, None])
def test_what_is_declared_a_list_and_is_none_fails_by_name(build: Build, value: Any) -> None:
    @node("Fake")
    def fake() -> list[int]:
        return value  # type: ignore[no-any-return]

    failure = Executor().run(build({"f": {"type": "Fake"}, "add": over("Add", a="f.out")}, fake)).failures["add"]
    assert "`f.out` is declared a list, but gave" in str(failure)
