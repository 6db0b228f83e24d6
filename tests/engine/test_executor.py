"""The executor on plain graphs: what runs, what is reused, what is told and what is let go of."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import Field

from nodegraph import Context, NodeError, node
from nodegraph.engine import events
from nodegraph.engine.cache import Entry
from nodegraph.engine.context import CancelToken
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


class Parts(NamedTuple):
    whole: int
    rest: int


class Thing:
    """A value that nothing else holds, without a canonical form."""


def add(**inputs: Any) -> dict[str, Any]:
    """Return an Add node whose wired inputs are given as strings."""
    links = {name: value for name, value in inputs.items() if isinstance(value, str)}
    return {"type": "Add", "params": {k: v for k, v in inputs.items() if k not in links}, "links": links}


def test_runs_sources_before_what_reads_them_and_gives_the_targets_values(build: Build, calls: list[str]) -> None:
    graph = build({"sum": add(a="one.out", b="two.out"), "two": add(a="one.out"), "one": {"type": "Number"}})
    result = Executor().run(graph)
    assert result.nodes == {"sum": {"out": 1}}
    assert calls == ["one", "two", "sum"]
    assert result.ok
    assert set(result.timings) == {"one", "two", "sum"}


def test_what_no_target_needs_does_not_run(build: Build, calls: list[str]) -> None:
    graph = build({"a": {"type": "Number"}, "b": add(a="a.out"), "other": {"type": "Number"}})
    executor = Executor()
    executor.run(executor.plan(graph, ["a"]))
    assert calls == ["a"]


def test_exposed_outputs_are_reached_beside_sinks(build: Build, calls: list[str]) -> None:
    nodes = {"a": {"type": "Number", "params": {"value": 4}}, "b": add(a="a.out"), "s": {"type": "Sink"}}
    result = Executor().run(build(nodes, outputs={"answer": "b.out"}))
    assert result.outputs == {"answer": 5}
    assert set(calls) == {"a", "b", "s"}


def test_a_second_run_reuses_the_target_and_asks_for_nothing_upstream(build: Build, calls: list[str]) -> None:
    graph = build({"a": {"type": "Number"}, "b": add(a="a.out"), "c": add(a="b.out")})
    executor = Executor()
    first = executor.run(graph)
    calls.clear()
    second = executor.run(graph)
    assert calls == []
    assert second.nodes == first.nodes
    assert second.reused == ("c",)


def test_renaming_and_reordering_nodes_keeps_results(build: Build, calls: list[str]) -> None:
    executor = Executor()
    executor.run(build({"a": {"type": "Number"}, "b": add(a="a.out", b=5)}))
    calls.clear()
    result = executor.run(build({"last": add(b=5, a="first.out"), "first": {"type": "Number"}}))
    assert calls == []
    assert result.nodes == {"last": {"out": 5}}


def test_a_change_runs_what_it_reaches_and_nothing_else(build: Build, calls: list[str]) -> None:
    def graph(value: int) -> Graph:
        nodes = {"a": {"type": "Number", "params": {"value": value}}, "b": {"type": "Number", "params": {"value": 9}}}
        return build({**nodes, "c": add(a="a.out"), "d": add(a="b.out"), "e": add(a="c.out", b="d.out")})

    executor = Executor()
    executor.run(graph(1))
    calls.clear()
    assert executor.run(graph(2)).nodes["e"] == {"out": 13}
    assert calls == ["a", "c", "e"]


def test_equal_nodes_of_one_graph_run_once(build: Build, calls: list[str]) -> None:
    nodes = {"a": {"type": "Number"}, "b": {"type": "Number"}, "sum": add(a="a.out", b="b.out")}
    result = Executor().run(build(nodes))
    assert len(calls) == 2
    assert result.nodes == {"sum": {"out": 0}}
    assert len(result.reused) == 1


def test_results_named_by_a_tuple_go_to_their_ports(build: Build) -> None:
    @node("Divide")
    def divide(a: int, by: int) -> Parts:
        return Parts(*divmod(a, by))

    nodes = {"d": {"type": "Divide", "params": {"a": 17, "by": 5}}, "x": add(a="d.whole", b="d.rest")}
    assert Executor().run(build(nodes, divide)).nodes == {"x": {"out": 5}}


def test_a_failure_skips_and_names_what_needs_it_while_other_branches_go_on(build: Build, calls: list[str]) -> None:
    nodes = {
        "bad": {"type": "Fail", "params": {"a": 3}}, "after": add(a="bad.out"), "later": add(a="after.out"),
        "good": {"type": "Number"}, "fine": add(a="good.out"), "both": add(a="fine.out", b="later.out"),
    }  # fmt: skip
    executor = Executor()
    result = executor.run(executor.plan(build(nodes), ["later", "fine", "both"]))
    assert result.skipped == {"after": "bad", "later": "bad", "both": "bad"}
    assert result.nodes == {"fine": {"out": 1}}
    error = result.failures["bad"]
    assert str(error) == "node 'bad' (Fail) failed: ValueError: cannot take 3"
    assert isinstance(error.__cause__, ValueError)
    assert not result.ok
    with pytest.raises(NodeError, match="cannot take 3"):
        result.check()


def test_what_only_a_lost_node_would_read_does_not_run(build: Build, calls: list[str]) -> None:
    nodes = {"bad": {"type": "Fail"}, "dear": {"type": "Number", "params": {"value": 7}}}
    result = Executor().run(build({**nodes, "both": add(a="bad.out", b="dear.out")}))
    assert calls == ["bad"]
    assert set(result.failures) == {"bad"}


def test_a_failed_run_goes_on_where_it_stopped(build: Build, calls: list[str]) -> None:
    executor = Executor()
    broken = {"type": "Fail", "links": {"a": "a.out"}}
    executor.run(build({"a": {"type": "Number"}, "b": broken}))
    calls.clear()
    executor.run(build({"a": {"type": "Number"}, "b": add(a="a.out")}))
    assert calls == ["b"]


def test_an_exit_an_unreadable_error_and_a_wrong_result_are_failures_of_their_node(build: Build) -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    @node("Exits")
    def exits() -> int:
        raise SystemExit(3)

    @node("Rude")
    def rude() -> int:
        raise RudeError

    @node("Long")
    def long() -> int:
        raise ValueError("x" * 10_000)

    @node("Liar")
    def liar() -> None:
        return 5  # type: ignore[return-value]

    kinds = {"e": {"type": "Exits"}, "r": {"type": "Rude"}, "l": {"type": "Long"}, "n": {"type": "Liar"}}
    graph = build(kinds, exits, rude, long, liar)
    executor = Executor()
    failures = executor.run(executor.plan(graph, list(kinds))).failures
    assert set(failures) == set(kinds)
    assert "SystemExit: 3" in str(failures["e"])
    assert "cannot be told" in str(failures["r"])
    assert len(str(failures["l"])) < 3000
    assert "declares no output" in str(failures["n"])


def test_values_that_come_by_wire_are_checked_as_typed_ones_are(build: Build) -> None:
    @node("Bounded")
    def bounded(size: Annotated[int, Field(ge=1, le=64)]) -> int:
        return size

    @node("Choose")
    def choose(kind: Literal["euler", "heun"]) -> str:
        return kind

    @node("Anything")
    def anything(name: str) -> Any:
        return {"few": 8, "many": 100, "text": "oiler", "list": [3, 99]}[name]

    def told(name: str, type_: str, port: str) -> str:
        nodes = {"a": {"type": "Anything", "params": {"name": name}}}
        nodes["b"] = {"type": type_, "links": {port: "a.out"}}
        result = Executor().run(build(nodes, bounded, choose, anything))
        return str(result.failures.get("b") or result.nodes["b"]["out"])

    assert told("few", "Bounded", "size") == "8"
    assert "`size` got 100; expected" in told("many", "Bounded", "size")
    assert "`size` got" in told("text", "Bounded", "size")
    assert "did you mean 'euler'?" in told("text", "Choose", "kind")


def test_a_result_is_dropped_when_its_last_reader_has_run(build: Build) -> None:
    seen: list[weakref.ref[Thing]] = []
    alive: list[int] = []

    @node("Make")
    def make(tag: int) -> Any:
        thing = Thing()
        seen.append(weakref.ref(thing))
        return thing

    @node("Pass")
    def pass_(thing: Any) -> Any:
        return None

    @node("Look")
    def look(after: Any) -> int:
        gc.collect()
        alive.append(sum(ref() is not None for ref in seen))
        return 0

    class Forgetful(dict[str, Entry]):
        def __setitem__(self, key: str, value: Entry) -> None:
            """Keep nothing."""

    nodes = {
        "make": {"type": "Make", "params": {"tag": 1}}, "pass": {"type": "Pass", "links": {"thing": "make.out"}},
        "look": {"type": "Look", "links": {"after": "pass.out"}},
    }  # fmt: skip
    Executor(Forgetful()).run(build(nodes, make, pass_, look))
    assert alive == [0]


def test_a_failure_does_not_keep_what_the_node_worked_with(build: Build) -> None:
    seen: list[weakref.ref[Thing]] = []

    @node("Explode")
    def explode() -> int:
        thing = Thing()
        seen.append(weakref.ref(thing))
        raise MemoryError("too much")

    result = Executor().run(build({"x": {"type": "Explode"}}, explode))
    gc.collect()
    assert seen[0]() is None
    assert "MemoryError" in str(result.failures["x"])


def test_eviction_during_a_run_breaks_nothing(build: Build, calls: list[str]) -> None:
    cache: dict[str, Entry] = {}

    @node("Evict")
    def evict(a: int) -> int:
        cache.clear()
        return a

    nodes = {"a": {"type": "Number", "params": {"value": 5}}}
    executor = Executor(cache)
    executor.run(build(nodes))
    calls.clear()
    more = {"e": {"type": "Evict", "params": {"a": 1}}, "sum": add(a="e.out", b="a.out")}
    graph = build({**nodes, **more}, evict)
    assert executor.run(graph).nodes == {"sum": {"out": 6}}
    assert calls == ["sum"]


def test_a_plan_that_has_been_run_is_made_anew(build: Build, calls: list[str]) -> None:
    executor = Executor()
    plan = executor.plan(build({"a": {"type": "Number"}, "s": {"type": "Sink", "links": {"value": "a.out"}}}))
    assert plan.runs == ("a", "s")
    executor.run(plan)
    executor.run(plan)
    assert calls == ["a", "s", "s"]


def test_events_tell_what_happens_in_order(build: Build) -> None:
    told: list[events.Event] = []
    executor = Executor(emit=told.append)

    @node("Slow")
    def slow(context: Context, a: int) -> int:
        context.progress(1, 2, "half")
        context.preview("so far")
        return a

    graph = build({"a": {"type": "Number"}, "b": {"type": "Slow", "links": {"a": "a.out"}}}, slow)
    executor.run(graph)
    assert [(event.kind, event.node) for event in told] == [
        ("running", None), ("queued", "a"), ("queued", "b"),
        ("running", "a"), ("finished", "a"), ("running", "b"), ("progress", "b"), ("preview", "b"),
        ("finished", "b"), ("finished", None),
    ]  # fmt: skip
    assert [event.time for event in told] == sorted(event.time for event in told)
    dumped = [events.dump(event) for event in told]
    assert dumped[6] == {
        "event": "progress", "node": "b", "time": told[6].time, "value": 1, "total": 2, "message": "half",
    }  # fmt: skip
    told.clear()
    executor.run(graph)
    assert [(event.kind, event.node) for event in told] == [("running", None), ("cached", "b"), ("finished", None)]


def test_a_listener_that_fails_is_logged_and_the_run_goes_on(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    def listen(event: events.Event) -> None:
        raise RuntimeError("deaf")

    assert Executor(emit=listen).run(build({"a": {"type": "Number"}})).ok
    assert "deaf" in caplog.text


def test_a_chain_of_ten_thousand_runs(build: Build) -> None:
    nodes: dict[str, Any] = {"0": {"type": "Number"}}
    nodes.update((str(index), add(a=f"{index - 1}.out")) for index in range(1, 10_000))
    graph = build(nodes)
    executor = Executor()
    assert executor.run(graph).nodes == {"9999": {"out": 9999}}
    assert executor.run(graph).reused == ("9999",)


def test_targets_that_do_not_exist_are_refused(build: Build) -> None:
    with pytest.raises(KeyError, match="nothing"):
        Executor().plan(build({"a": {"type": "Number"}}), ["nothing"])


def test_the_context_tells_of_the_run(build: Build) -> None:
    told: list[Context] = []

    @node("Ask", settings=["device"])
    def ask(context: Context, a: int) -> int:
        told.append(context)
        return a

    nodes = {"n": add(a="m.out"), "m": {"type": "Number", "params": {"value": 3}}, "unread": {"type": "Number"}}
    graph = build({**nodes, "x": {"type": "Ask", "links": {"a": "n.out"}}}, ask)
    Executor(settings={"device": "cpu", "metadata": True}).run(graph, CancelToken())
    context = told[0]
    assert context.node == "x"
    assert len(context.recipe) == 64
    assert context.settings == {"device": "cpu"}
    assert context.document["nodes"]["x"]["type"] == "Ask"
    upstream = [(one.id, one.type, dict(one.params), one.plugin) for one in context.upstream()]
    assert upstream == [("m", "Number", {"value": 3}, "test"), ("n", "Add", {"b": 1}, "test"), ("x", "Ask", {}, "test")]


def test_a_node_that_runs_each_time_is_told_all_settings(build: Build) -> None:
    told: list[Mapping[str, Any]] = []

    @node("Save", output=True)
    def save(context: Context) -> None:
        told.append(context.settings)

    Executor(settings={"device": "cpu", "metadata": True}).run(build({"s": {"type": "Save"}}, save))
    assert told == [{"device": "cpu", "metadata": True}]


def test_a_context_works_alone() -> None:
    context = Context()
    context.progress(1, 2)
    context.preview(object())
    context.check_cancelled()
    assert not context.cancelled
    assert context.upstream() == ()
    assert context.settings == {}
    with pytest.raises(LookupError, match="needs folders"):
        _ = context.folders
