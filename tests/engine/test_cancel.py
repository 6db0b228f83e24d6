"""Cancelling a run: where it is seen, and what is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nodegraph import Cancelled, Context, node
from nodegraph.engine import events
from nodegraph.engine.context import CancelToken
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


def chain(build: Build, *functions: Callable[..., int]) -> Graph:
    nodes = {
        "before": {"type": "Number"}, "steps": {"type": "Steps", "links": {"a": "before.out"}},
        "after": {"type": "Add", "links": {"a": "steps.out"}},
    }  # fmt: skip
    return build(nodes, *functions)


def test_progress_ends_the_node_at_its_next_call(build: Build, calls: list[str]) -> None:
    token, steps = CancelToken(), list[int]()
    told: list[events.Event] = []

    @node("Steps")
    def run(context: Context, a: int) -> int:
        for step in range(10):
            steps.append(step)
            if step == 3:
                token.cancel()
            context.progress(step + 1, 10)
        return a

    executor = Executor(emit=told.append)
    graph = chain(build, run)
    result = executor.run(graph, token)
    assert steps == [0, 1, 2, 3]
    assert calls == ["before"]
    assert result.cancelled
    assert not result.ok
    assert not result.failures
    assert not result.nodes
    assert [(event.kind, event.node) for event in told[-2:]] == [("cancelled", "steps"), ("cancelled", None)]
    with pytest.raises(Cancelled):
        result.check()
    steps.clear()
    assert "before" in executor.plan(graph).reused


def test_a_token_cancelled_before_runs_nothing(build: Build, calls: list[str]) -> None:
    token = CancelToken()
    token.cancel()
    assert Executor().run(build({"a": {"type": "Number"}}), token).cancelled
    assert calls == []


def test_cancel_is_seen_between_nodes_and_between_items(build: Build, calls: list[str]) -> None:
    token = CancelToken()

    @node("Stop")
    def stop(context: Context, a: int) -> int:
        calls.append(context.node)
        if a == 1:
            token.cancel()
        return a

    graph = build(
        {"n": {"type": "Numbers", "params": {"count": 5}}, "s": {"type": "Stop", "links": {"a": "n.out"}}}, stop
    )
    executor = Executor()
    assert executor.run(graph, token).cancelled
    assert calls == ["n", "s/0", "s/1"]
    calls.clear()
    assert executor.run(graph).nodes == {"s": {"out": [0, 1, 2, 3, 4]}}
    assert calls == ["s/2", "s/3", "s/4"]


def test_a_node_that_swallows_the_cancel_is_its_last(build: Build, calls: list[str]) -> None:
    token = CancelToken()

    @node("Steps")
    def run(context: Context, a: int) -> int:
        token.cancel()
        try:
            context.check_cancelled()
        except Cancelled:
            assert context.cancelled
        return a

    result = Executor().run(chain(build, run), token)
    assert result.cancelled
    assert calls == ["before"]


def test_a_node_that_raises_what_it_likes_while_it_is_cancelled_has_not_failed(build: Build) -> None:
    token = CancelToken()

    @node("Steps")
    def run(context: Context, a: int) -> int:
        token.cancel()
        raise RuntimeError("interrupted")

    result = Executor().run(chain(build, run), token)
    assert result.cancelled
    assert not result.failures


def test_keyboard_interrupt_leaves_the_run(build: Build, calls: list[str]) -> None:
    @node("Steps")
    def run(context: Context, a: int) -> int:
        raise KeyboardInterrupt

    executor = Executor()
    graph = chain(build, run)
    with pytest.raises(KeyboardInterrupt):
        executor.run(graph)
    assert executor.plan(graph).reused == ("before",)


def test_a_token_tells_its_listeners_once_and_forgets_them() -> None:
    token, heard = CancelToken(), list[str]()
    forget = token.listen(lambda: heard.append("a"))
    token.listen(lambda: heard.append("b"))
    forget()
    token.cancel()
    token.cancel()
    assert heard == ["b"]
    assert token.cancelled
    token.listen(lambda: heard.append("late"))
    assert heard == ["b", "late"]
    with pytest.raises(Cancelled):
        token.check()
