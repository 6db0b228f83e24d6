"""Writes that are committed together: one that fails leaves no trace and fails nobody else."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodegraph.server import faults
from nodegraph.server.records import State, Submission
from nodegraph.server.store.database import Connection, Database
from nodegraph.server.store.errors import StoreError, StoreFullError
from nodegraph.server.store.opening import open_file
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


@pytest.fixture
def arm() -> Iterator[Callable[[str], None]]:
    """Arm fault points until the end of the test."""
    yield lambda text: faults.arm({faults.VARIABLE: text})
    faults.arm({})


@pytest.fixture
async def database(tmp_path: Path) -> Database:
    opened = open_file(tmp_path / "nodegraph.db")
    return Database(opened.path, opened.connection, busy_seconds=1.0)


def put(key: str) -> Callable[[Connection], str]:
    def run(connection: Connection) -> str:
        connection.execute("INSERT INTO settings VALUES (?, '1')", (key,))
        if key.startswith("bad"):
            raise ValueError(key)
        return key

    return run


def keys(connection: Connection) -> list[str]:
    return [key for (key,) in connection.execute("SELECT key FROM settings ORDER BY key")]


class Gate:
    """Holds the writer up, so that what is asked for meanwhile makes one group."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.opened.wait(10)


async def grouped(database: Database, *names: str) -> list[str | BaseException]:
    """Write several as one group."""
    gate = Gate()
    held = asyncio.ensure_future(database.write(gate))
    await asyncio.sleep(0.05)
    asked = [asyncio.ensure_future(database.write(put(name))) for name in names]
    await asyncio.sleep(0)
    gate.opened.set()
    await held
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_one_that_fails_leaves_no_trace_and_the_others_are_kept(database: Database) -> None:
    good, bad, twice, last = await grouped(database, "a", "bad", "a", "b")
    assert (good, last) == ("a", "b")
    assert isinstance(bad, ValueError)
    assert isinstance(twice, StoreError)
    assert "UNIQUE" in str(twice)
    assert await database.read(keys) == ["a", "b"]
    await database.close()


async def test_many_writes_are_few_commits(store: Store, submit: Submit, arm: Callable[[str], None]) -> None:
    arm("1000000:raise")
    made = await asyncio.gather(*(store.add("owner", [submit()]) for _ in range(1000)))
    assert faults.met() <= 2 * 100
    assert [job.seq for (job,) in made] == list(range(1, 1001))


async def test_a_full_disk_at_the_commit_undoes_the_write(
    store: Store, submit: Submit, arm: Callable[[str], None]
) -> None:
    arm("store.commit.before@1:full")
    with pytest.raises(StoreFullError, match="is full") as caught:
        await store.add("owner", [submit()])
    assert caught.value.errno == errno.ENOSPC
    assert isinstance(caught.value, OSError)
    assert await store.counts() == {}
    (job,) = await store.add("owner", [submit()])
    assert job.seq == 1


async def test_a_group_that_cannot_be_committed_is_tried_one_by_one(
    database: Database, arm: Callable[[str], None]
) -> None:
    arm("store.commit.before@2:raise,store.commit.before@4:full")
    first, full, third = await grouped(database, "a", "b", "c")
    assert (first, third) == ("a", "c")
    assert isinstance(full, StoreFullError)
    assert await database.read(keys) == ["a", "c"]
    await database.close()


async def test_a_failure_after_the_commit_does_not_write_twice(
    store: Store, submit: Submit, arm: Callable[[str], None]
) -> None:
    arm("store.commit.after@1:raise")
    with pytest.raises(faults.FaultError):
        await store.add("owner", [submit(key="k")])
    (job,) = await store.add("owner", [submit(key="k")])
    assert job.seq == 1
    assert await store.counts() == {State.QUEUED: 1}


async def test_a_caller_who_goes_away_disturbs_nobody(database: Database) -> None:
    gate = Gate()
    held = asyncio.ensure_future(database.write(gate))
    await asyncio.sleep(0.05)
    gone, stays = (
        asyncio.ensure_future(database.write(put("gone"))),
        asyncio.ensure_future(database.write(put("stays"))),
    )
    await asyncio.sleep(0)
    gone.cancel()
    gate.opened.set()
    await held
    assert await stays == "stays"
    assert await database.read(keys) == ["gone", "stays"]
    await database.close()


async def test_a_read_sees_every_write_that_was_answered(store: Store, submit: Submit) -> None:
    async def one(number: int) -> None:
        for _ in range(20):
            (job,) = await store.add(f"user{number}", [submit()])
            assert await store.job(job.id) == job
            done = await store.finish(job.id, State.DONE)
            assert await store.job(job.id) == done

    await asyncio.gather(*(one(number) for number in range(8)))


async def test_a_read_has_one_view_however_long_it_takes(database: Database) -> None:
    began, written = threading.Event(), threading.Event()

    def slow(connection: Connection) -> tuple[list[str], list[str]]:
        before = keys(connection)
        began.set()
        written.wait(10)
        return before, keys(connection)

    reading = asyncio.ensure_future(database.read(slow))
    await asyncio.to_thread(began.wait, 10)
    await database.write(put("a"))
    written.set()
    assert await reading == ([], [])
    assert await database.read(keys) == ["a"]
    await database.close()


async def test_closing_finishes_what_was_asked_for(tmp_path: Path, submit: Submit) -> None:
    store = await Store.open(tmp_path)
    asked = [asyncio.ensure_future(store.add("owner", [submit()])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert len(await asyncio.gather(*asked)) == 50
    for refused in (store.counts(), store.put("key", 1)):
        with pytest.raises(StoreError, match="closed"):
            await refused
    assert [path.name for path in tmp_path.iterdir()] == ["nodegraph.db"]


async def test_no_thread_is_left(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await asyncio.gather(*(store.get("key") for _ in range(20)))
    assert {thread.name.rpartition("_")[0] or thread.name for thread in of_stores()} == {"store-reader", "store-writer"}
    await store.close()
    assert of_stores() == []


def of_stores() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("store-")]
