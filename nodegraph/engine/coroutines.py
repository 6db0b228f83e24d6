"""Runs the coroutines of async nodes on one event loop beside the thread that runs the other nodes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from nodegraph.engine.task import Task

log = logging.getLogger(__name__)
GRACE = 10.0
"""How many seconds coroutines have to end when the run does."""


class Outcome(NamedTuple):
    """How the coroutine of a task ended."""

    task: Task
    value: Any
    error: BaseException | None
    seconds: float


class Coroutines:
    """The async nodes of one run; used by the run's thread alone, but for `wake`."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop, self._own = loop, None if loop is not None else _Loop()
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        self.running: dict[str, Callable[[], object]] = {}
        """Task id -> what cancels its coroutine, on the loop's thread."""

    def start(self, task: Task, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Have `call()` run on the loop."""
        if self._loop is None and self._own is not None:
            self._loop = self._own.start()
        created: list[asyncio.Task[Any]] = []
        cancelled = False

        def create() -> None:
            started = time.perf_counter()
            future = asyncio.get_running_loop().create_task(_attend(call))
            created.append(future)
            future.add_done_callback(lambda done: self._outcomes.put(_outcome(task, done, started)))
            if cancelled:
                future.cancel()

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            for future in created:
                future.cancel()

        self.running[task.id] = cancel
        self._call(create)

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, context=contextvars.copy_context())

    def wake(self) -> None:
        """Make a waiting `outcome` return; any thread or signal handler may."""
        self._outcomes.put(None)

    def outcome(self, *, wait: bool, timeout: float | None = None) -> Outcome | None:
        """Return how the next coroutine ended, or None: none has, or somebody called `wake`."""
        try:
            outcome = self._outcomes.get(block=wait, timeout=timeout)
        except Empty:
            return None
        if outcome is not None:
            self.running.pop(outcome.task.id, None)
        return outcome

    def close(self) -> None:
        """Cancel what runs, wait until it has ended, stop the loop if it is our own."""
        for cancel in self.running.values():
            self._call(cancel)
        deadline = time.monotonic() + GRACE
        while self.running and time.monotonic() < deadline:
            self.outcome(wait=True, timeout=max(0.0, deadline - time.monotonic()))
        for id in self.running:
            log.warning("the async node %r does not stop when it is cancelled", id)
        self.running.clear()
        if self._own is not None:
            self._own.stop()


async def _attend(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine; what it raises is the outcome, which asyncio must not take for its own."""
    try:
        return await call()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - the run's thread tells what it means
        return _Raised(error)


class _Raised(NamedTuple):
    error: BaseException


def _outcome(task: Task, done: asyncio.Task[Any], started: float) -> Outcome:
    seconds = time.perf_counter() - started
    if done.cancelled():
        return Outcome(task, None, asyncio.CancelledError(), seconds)
    value = done.result()
    return Outcome(task, None, value.error, seconds) if type(value) is _Raised else Outcome(task, value, None, seconds)


class _Loop:
    """An event loop on a thread of its own, which starts when it is first needed."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.new_event_loop()

        def turn() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.get_loop().run_forever()

        self._thread = threading.Thread(target=turn, name="nodegraph-async", daemon=True)
        self._thread.start()
        return loop

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = self._loop = None
