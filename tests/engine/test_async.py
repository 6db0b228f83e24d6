"""Async nodes: they run beside each other and beside the other nodes, on one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nodegraph import Context, Lazy, node
from nodegraph.engine.context import CancelToken
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


def meeting(size: int) -> Callable[..., Any]:
    """Return a node whose calls wait until `size` of them run at one time."""
    arrived = asyncio.Event()
    count = [0]

    @node("Meet")
    async def meet(a: int) -> int:
        count[0] += 1
        if count[0] == size:
            arrived.set()
        await asyncio.wait_for(arrived.wait(), 5)
        return a

    return meet


def meets(count: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {str(i): {"type": "Meet", "params": {"a": i}} for i in range(count)}
    return {**nodes, "sum": {"type": "Add", "links": {"a": "0.out", "b": f"{count - 1}.out"}}}


def test_async_nodes_run_beside_each_other(build: Build) -> None:
    nodes = meets(2)
    assert Executor().run(build(nodes, meeting(2))).nodes == {"sum": {"out": 1}}


def test_the_items_of_a_mapped_async_node_run_beside_each_other(build: Build) -> None:
    nodes = {"n": {"type": "Numbers", "params": {"count": 5}}, "m": {"type": "Meet", "links": {"a": "n.out"}}}
    assert Executor().run(build(nodes, meeting(5))).nodes == {"m": {"out": [0, 1, 2, 3, 4]}}


def test_other_nodes_go_on_while_a_coroutine_waits(build: Build) -> None:
    released = threading.Event()

    @node("Wait")
    async def wait() -> int:
        assert await asyncio.to_thread(released.wait, 5)
        return 1

    @node("Release")
    def release() -> int:
        released.set()
        return 2

    nodes = {
        "w": {"type": "Wait"},
        "r": {"type": "Release"},
        "sum": {"type": "Add", "links": {"a": "w.out", "b": "r.out"}},
    }
    assert Executor().run(build(nodes, wait, release)).nodes == {"sum": {"out": 3}}


def test_a_failing_coroutine_is_a_failure_of_its_node(build: Build) -> None:
    @node("Bad")
    async def bad() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    result = Executor().run(build({"b": {"type": "Bad"}, "after": {"type": "Add", "links": {"a": "b.out"}}}, bad))
    assert "ValueError: no" in str(result.failures["b"])
    assert result.skipped == {"after": "b"}


def test_a_coroutine_may_ask_for_a_lazy_input(build: Build, calls: list[str]) -> None:
    @node("Maybe")
    async def maybe(yes: bool, value: Lazy[int]) -> int:
        await asyncio.sleep(0)
        return value.get() if yes else -1

    nodes = {"n": {"type": "Number", "params": {"value": 8}}}
    links = {"value": "n.out"}
    asks = {"type": "Maybe", "params": {"yes": True}, "links": links}
    assert Executor().run(build({**nodes, "m": asks}, maybe)).nodes == {"m": {"out": 8}}
    calls.clear()
    asks = {"type": "Maybe", "params": {"yes": False}, "links": links}
    assert Executor().run(build({**nodes, "m": asks}, maybe)).nodes == {"m": {"out": -1}}
    assert calls == []


def test_a_lazy_input_that_is_made_while_a_coroutine_asks_is_not_missed(build: Build) -> None:
    asked, runs = threading.Event(), list[str]()

    @node("Slow")
    def slow() -> int:
        assert asked.wait(5)
        time.sleep(0.05)
        return 3

    @node("Ask")
    async def ask(value: Lazy[int]) -> int:
        runs.append("ask")
        try:
            return value.get()
        finally:
            asked.set()

    links = {"a": "slow.out", "b": "ask.out"}
    nodes = {"slow": {"type": "Slow"}, "ask": {"type": "Ask", "links": {"value": "slow.out"}}}
    graph = build({**nodes, "sum": {"type": "Add", "links": links}}, slow, ask)
    assert Executor().run(graph).nodes == {"sum": {"out": 6}}
    assert runs == ["ask", "ask"]


async def test_run_async_runs_coroutines_on_the_callers_loop_and_others_off_it(build: Build) -> None:
    seen: dict[str, object] = {}
    who = contextvars.ContextVar("who", default="nobody")
    who.set("caller")

    @node("Here")
    async def here() -> int:
        seen["loop"] = asyncio.get_running_loop()
        seen["async who"] = who.get()
        return 1

    @node("There")
    def there(a: int) -> int:
        seen["thread"] = threading.current_thread()
        seen["who"] = who.get()
        return a

    graph = build({"h": {"type": "Here"}, "t": {"type": "There", "links": {"a": "h.out"}}}, here, there)
    result = await Executor().run_async(graph)
    assert result.nodes == {"t": {"out": 1}}
    assert seen["loop"] is asyncio.get_running_loop()
    assert seen["thread"] is not threading.current_thread()
    assert (seen["who"], seen["async who"]) == ("caller", "caller")


async def test_run_works_within_a_running_loop(build: Build) -> None:
    assert Executor().run(build(meets(2), meeting(2))).ok


async def test_cancelling_the_awaiting_task_cancels_the_run(build: Build) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    @node("Forever")
    async def forever() -> int:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 1

    run = asyncio.create_task(Executor().run_async(build({"f": {"type": "Forever"}}, forever)))
    await asyncio.wait_for(started.wait(), 5)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ended.is_set()


def test_cancel_stops_coroutines_and_waits_until_they_have_tidied_up(build: Build) -> None:
    token, tidied = CancelToken(), threading.Event()

    @node("Forever")
    async def forever(context: Context) -> int:
        threading.Timer(0.05, token.cancel).start()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            tidied.set()
        return 1

    before = time.monotonic()
    result = Executor().run(build({"f": {"type": "Forever"}}, forever), token)
    assert result.cancelled
    assert tidied.is_set()
    assert time.monotonic() - before < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "nodegraph-async"]
