"""How the store's file is used: one writer thread that commits in groups, a few threads that read beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nodegraph.server import faults
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.sqlite import Connection, busy, connect, no_room, translate

__all__ = ["Connection", "Database"]

T = TypeVar("T")
READERS = 4
AT_ONCE = 512
"""Operations that are committed together at most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Operation:
    """What a caller waits for."""

    run: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


class Database:
    """An open file. `write` and `read` run a function on a connection, in a thread, and give back what it returns.

    Writes run one after another in the order in which they were asked for; those that wait are committed as one group.
    Each has its own savepoint, so that one that raises leaves no trace and fails nobody else.
    """

    def __init__(self, path: Path, connection: Connection, *, busy_seconds: float) -> None:
        self._path, self._connection, self._busy_seconds = path, connection, busy_seconds
        self._operations: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._closed = False
        self._local = threading.local()
        self._readers: list[Connection] = []
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._writer.start()

    async def write(self, run: Callable[[Connection], T]) -> T:
        """Run a function in the next group; return once the group is on the disk."""
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._operations.put(_Operation(run, loop, future))
        return await future

    async def read(self, run: Callable[[Connection], T]) -> T:
        """Run a function on one consistent view of the file, that of the last commit."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._view, run)

    async def close(self) -> None:
        """Finish what was asked for, move the log into the file and close it."""
        if not self._closed:
            self._closed = True
            self._operations.put(None)
            await asyncio.to_thread(self._shut)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def _shut(self) -> None:
        self._writer.join()
        self._pool.shutdown()
        for connection in self._readers:
            connection.close()
        self._connection.close()  # the last one to close moves the log into the file

    # the readers' threads
    def _view(self, run: Callable[[Connection], T]) -> T:
        try:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return run(connection)
            finally:
                connection.rollback()
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._path) from error

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, busy_seconds=self._busy_seconds, read_only=True)
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    # the writer's thread
    def _work(self) -> None:
        while group := self._gather():
            outcomes = self._commit(group)
            try:
                faults.point("store.commit.after")
            except (faults.FaultError, OSError) as error:
                outcomes = [_Outcome(error=translate(error, self._path))] * len(group)
            _answer(group, outcomes)

    def _gather(self) -> list[_Operation]:
        """Wait for an operation and take those that came meanwhile along; nothing when it is time to end."""
        group = list[_Operation]()
        operation = self._operations.get()
        while operation is not None:
            group.append(operation)
            if len(group) >= AT_ONCE:
                return group
            try:
                operation = self._operations.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._operations.put(None)
        return group

    def _commit(self, group: Sequence[_Operation]) -> list[_Outcome]:
        """Commit a group. One that cannot be committed as a whole is undone and each operation tried by itself."""
        try:
            return self._transaction(group)
        except Exception as error:  # noqa: BLE001 - whoever waits for the group is told
            if len(group) == 1 or busy(error):
                return [_Outcome(error=translate(error, self._path)) for _ in group]
            return [outcome for operation in group for outcome in self._commit([operation])]

    def _transaction(self, group: Sequence[_Operation]) -> list[_Outcome]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._apply(operation) for operation in group]
            faults.point("store.commit.before")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            raise
        return outcomes

    def _apply(self, operation: _Operation) -> _Outcome:
        """Run an operation; where it raises undo it alone, unless SQLite had to give up the whole group for it."""
        connection = self._connection
        connection.execute("SAVEPOINT operation")
        try:
            value = operation.run(connection)
        except Exception as error:
            if no_room(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO operation")
            connection.execute("RELEASE operation")
            return _Outcome(error=translate(error, self._path))
        connection.execute("RELEASE operation")
        return _Outcome(value)


def _answer(group: Sequence[_Operation], outcomes: Sequence[_Outcome]) -> None:
    """Hand the outcomes over to their event loops, one call for each."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for operation, outcome in zip(group, outcomes, strict=True):
        by_loop.setdefault(operation.loop, []).append((operation.future, outcome))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            _log.debug("nobody waits any more for %d writes: their event loop is closed", len(answers))


def _resolve(answers: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
