"""Nodes that warn: the run goes on and tells, or stops there where it is strict."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph import Context, node
from nodegraph.engine import events
from nodegraph.engine.errors import NodeError, StrictError
from nodegraph.engine.events import Event, dump
from nodegraph.engine.executor import Executor

NODES = {
    "odd": {"type": "Odd", "params": {"times": 2}},
    "add": {"type": "Add", "links": {"a": "odd.out"}},
}


@node("Odd")
def odd(context: Context, times: int = 1) -> int:
    for time in range(times):
        context.warn(f"odd, {time}")
    return 7


def test_a_warning_is_told_and_the_run_goes_on(build: Any) -> None:
    told: list[Event] = []
    result = Executor(emit=told.append).run(build(NODES, odd, outputs={"sum": "add.out"}))
    assert result.ok
    assert result.outputs == {"sum": 8}
    assert result.warnings == {"odd": ("odd, 0", "odd, 1")}
    kinds = [(event.kind, event.node) for event in told if event.node == "odd"]
    assert kinds == [("queued", "odd"), ("running", "odd"), ("warned", "odd"), ("warned", "odd"), ("finished", "odd")]
    assert dump(events.Warned("odd", "it is", time=1.0)) == {
        "event": "warned",
        "node": "odd",
        "message": "it is",
        "time": 1.0,
    }


def test_warnings_are_kept_where_nobody_listens_and_the_first_are_enough(build: Any) -> None:
    graph = build({"odd": {"type": "Odd", "params": {"times": 1000}}}, odd)
    warnings = Executor().run(graph, None).warnings["odd"]
    assert len(warnings) == 100
    assert warnings[0] == "odd, 0"


def test_in_a_strict_run_a_warning_is_a_failure(build: Any, calls: list[str]) -> None:
    executor = Executor(strict=True)
    result = executor.run(build(NODES, odd))
    with pytest.raises(NodeError, match="odd, 0") as caught:
        result.check()
    assert isinstance(caught.value.__cause__, StrictError)
    assert result.skipped == {"add": "odd"}
    assert calls == []


def test_a_result_that_was_warned_of_is_kept_as_any(build: Any) -> None:
    executor = Executor()
    executor.run(build(NODES, odd))
    again = executor.run(build(NODES, odd))
    assert again.warnings == {}
    assert set(again.reused) == {"add"}


def test_a_context_alone_warns_nobody() -> None:
    Context().warn("nobody hears it")
    told: list[Event] = []
    Context("here", emit=told.append).warn("heard")
    assert [(event.kind, event.node) for event in told] == [("warned", "here")]
