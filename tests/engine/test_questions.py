"""A node asks a person: its branch stops, the rest goes on, and a run that has the answer goes on from there."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest

from nodegraph.engine import events
from nodegraph.engine.cache import Entry
from nodegraph.engine.check import check
from nodegraph.engine.context import Context
from nodegraph.engine.errors import NodeError, Waiting
from nodegraph.engine.events import dump
from nodegraph.engine.executor import Executor
from nodegraph.engine.expansion import Expansion, Given
from nodegraph.engine.graph import Graph
from nodegraph.engine.marks import Lazy
from nodegraph.engine.node import node, spec_of
from nodegraph.engine.questions import NO_ANSWERS, Answers, Question
from nodegraph.engine.result import Result
from nodegraph.engine.spec import Json
from nodegraph.engine.workflow import load_workflow

calls: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@node("ask.Make")
def make(number: int = 1) -> int:
    calls.append("make")
    return number


@node("ask.Double")
def double(value: int) -> int:
    calls.append("double")
    return 2 * value


class Passed(NamedTuple):
    out: Any
    choice: Any


@node("ask.Gate", cache=False)
def gate(context: Context, value: Any) -> Passed | Expansion:
    choice = context.ask("Go on?", ["yes", "no"])
    return Expansion({}, {"out": Given("value"), "choice": choice})


@node("ask.Wrong")
def wrong(context: Context) -> int:
    return int(context.ask("How many?"))


REGISTRY = {spec.id: spec for spec in (spec_of(function, plugin="test") for function in (make, double, gate, wrong))}


def graph(nodes: dict[str, Json], outputs: dict[str, str]) -> Graph:
    return check(load_workflow({"format": 1, "nodes": nodes, "outputs": outputs}), REGISTRY)


NODES: dict[str, Json] = {
    "make": {"type": "ask.Make", "params": {"number": 4}},
    "gate": {"type": "ask.Gate", "links": {"value": "make.out"}},
    "after": {"type": "ask.Double", "links": {"value": "gate.out"}},
    "beside": {"type": "ask.Double", "links": {"value": "make.out"}},
}
OUTPUTS = {"after": "after.out", "beside": "beside.out", "choice": "gate.choice"}


def run(
    cache: dict[str, Entry], answers: Answers = NO_ANSWERS, nodes: dict[str, Json] = NODES
) -> tuple[Result, list[events.Event]]:
    told: list[events.Event] = []
    outputs = {name: source for name, source in OUTPUTS.items() if source.partition(".")[0] in nodes}
    return Executor(cache).run(graph(nodes, outputs), emit=told.append, answers=answers), told


def test_without_an_answer_the_branch_stops_and_the_rest_goes_on() -> None:
    result, told = run({})
    assert result.outputs == {"beside": 8}
    assert result.waiting == {"gate": Question("gate", "Go on?", ("yes", "no"))}
    assert result.skipped == {"after": "gate"}
    assert (result.ok, dict(result.failures), result.cancelled) == (False, {}, False)
    asked = [event for event in told if isinstance(event, events.Waiting)]
    assert [(event.node, event.question, event.choices) for event in asked] == [
        ("gate", "Go on?", ("yes", "no")),
        (None, "Go on?", ()),
    ]
    with pytest.raises(
        Waiting, match=r"node 'gate' waits for an answer: Go on\? \(the text \"yes\", the text \"no\"\)"
    ):
        result.check()


def test_a_run_with_the_answer_goes_on_from_what_is_there() -> None:
    cache: dict[str, Entry] = {}
    run(cache)
    calls.clear()
    result, _ = run(cache, {"gate": "yes"})
    assert result.ok
    assert result.outputs == {"after": 8, "beside": 8, "choice": "yes"}
    assert calls == []  # 2 * 4 is in the cache: what passed the gate keeps its name


def test_what_comes_after_the_gate_is_cached_by_what_came_before_it() -> None:
    cache: dict[str, Entry] = {}
    run(cache, {"gate": "yes"})
    calls.clear()
    result, _ = run(cache, {"gate": "no"})
    assert (result.outputs["choice"], calls) == ("no", [])
    changed = {**NODES, "make": {"type": "ask.Make", "params": {"number": 5}}}
    assert run(cache, {"gate": "yes"}, changed)[0].outputs["after"] == 10


def test_a_function_may_answer_at_once() -> None:
    asked: list[Question] = []

    def person(question: Question) -> Json:
        asked.append(question)
        return "no"

    assert run({}, person)[0].outputs["choice"] == "no"
    assert [question.node for question in asked] == ["gate"]


def test_an_answer_that_is_no_choice_fails_the_node() -> None:
    result, _ = run({}, {"gate": "perhaps"})
    assert str(result.failures["gate"]).endswith(
        "failed: ValueError: the answer to 'Go on?' is 'perhaps'; expected one of 'yes', 'no'"
    )


def test_each_item_of_a_mapped_gate_asks_for_itself() -> None:
    @node("ask.List")
    def several() -> list[int]:
        return [1, 2]

    @node("ask.Item", cache=False)
    def item(context: Context, value: int) -> Json:
        return context.ask(f"What of {value}?")

    registry = {spec.id: spec for spec in (spec_of(function, plugin="test") for function in (several, item))}
    nodes = {"list": {"type": "ask.List"}, "gate": {"type": "ask.Item", "links": {"value": "list.out"}}}
    mapped = check(load_workflow({"format": 1, "nodes": nodes, "outputs": {"out": "gate.out"}}), registry)
    asked = Executor({}).run(mapped, answers={"gate/1": "b"}).waiting
    assert [(question.node, question.question) for question in asked.values()] == [("gate/0", "What of 1?")]
    assert Executor({}).run(mapped, answers={"gate/0": "a", "gate/1": "b"}).outputs == {"out": ["a", "b"]}


def test_a_node_whose_result_is_kept_must_not_ask() -> None:
    result = Executor({}).run(graph({"wrong": {"type": "ask.Wrong"}}, {"out": "wrong.out"}), answers={"wrong": 3})
    with pytest.raises(NodeError, match="must be marked `cache=False`"):
        result.check()


def test_a_node_alone_is_given_answers_by_its_test() -> None:
    assert Context("here", answers={"here": 3}).ask("How many?") == 3
    with pytest.raises(Waiting, match="How many"):
        Context("here").ask("How many?")
    with pytest.raises(ValueError, match="is True; expected one of 1, 2"):
        Context("here", answers={"here": True}).ask("How many?", [1, 2])


def test_the_event_on_the_wire() -> None:
    assert dump(events.Waiting("gate", "Go on?", ("yes", 1), time=1.0)) == {
        "event": "waiting", "node": "gate", "time": 1.0, "question": "Go on?", "choices": ["yes", 1],
    }  # fmt: skip


def test_a_gate_in_a_loop_asks_in_each_round_and_the_loop_goes_on_where_it_was() -> None:
    from nodegraph.engine.plugins import load_plugins

    registry = {**REGISTRY, **dict(load_plugins(builtin=["nodegraph.nodes"], entry_points=False).registry)}
    body = {
        "inputs": {"item": "gate.value"},
        "outputs": {"out": "double.out"},
        "nodes": {"gate": NODES["gate"] | {"links": {}}, "double": NODES["after"]},
    }
    nodes = {
        "range": {"type": "Range", "params": {"stop": 3}},
        "each": {"type": "ForEach", "params": {"body": "body"}, "links": {"items": "range.out"}},
    }
    document = {"format": 1, "nodes": nodes, "outputs": {"out": "each.out"}, "subgraphs": {"body": body}}
    looping = check(load_workflow(document), registry)
    cache: dict[str, Entry] = {}
    asked = Executor(cache).run(looping, answers={"each/1/gate": "yes"})
    assert (list(asked.waiting), asked.outputs) == (["each/0/gate", "each/2/gate"], {})
    assert calls == ["double"]
    answers = {f"each/{index}/gate": "yes" for index in range(3)}
    assert Executor(cache).run(looping, answers=answers).outputs == {"out": [0, 2, 4]}
    assert calls == ["double"] * 3


def test_an_async_node_may_ask_and_a_lazy_input_may_wait() -> None:
    @node("ask.Async", cache=False)
    async def later(context: Context) -> int:
        await asyncio.sleep(0)
        return int(context.ask("How many?"))

    @node("ask.Take")
    def take(value: Lazy[int], beside: int) -> int:
        return value.get() + beside

    registry = {**REGISTRY, **{spec.id: spec for spec in (spec_of(one, plugin="test") for one in (later, take))}}
    nodes = {
        "later": {"type": "ask.Async"},
        "make": NODES["make"],
        "take": {"type": "ask.Take", "links": {"value": "later.out", "beside": "make.out"}},
    }
    waiting = check(load_workflow({"format": 1, "nodes": nodes, "outputs": {"out": "take.out"}}), registry)
    asked = Executor({}).run(waiting)
    assert (list(asked.waiting), dict(asked.skipped)) == (["later"], {"take": "later"})
    assert Executor({}).run(waiting, answers={"later": 3}).outputs == {"out": 7}
