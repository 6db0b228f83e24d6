"""Things that happen to the queue at once, and stores that refuse for a while: nothing is lost, stuck or too much."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from nodegraph.server import attempt, faults, holding
from nodegraph.server.errors import ApiError
from nodegraph.server.records import State
from nodegraph.server.settings import Limits
from nodegraph.server.store.store import StoreBusyError

if TYPE_CHECKING:
    from nodegraph.server.records import Job
    from tests.server.queue.conftest import Bench, Open


@pytest.fixture
def unarmed() -> Iterator[None]:
    """Disarm all points in the end."""
    yield
    faults.arm({})


async def test_devices_paused_at_once_are_all_paused(bench: Bench) -> None:
    pauses = bench.queue._holding
    await asyncio.gather(*(pauses.pause(f"cuda:{number}", "why") for number in range(4)))
    assert set(pauses.devices) == {"cuda:0", "cuda:1", "cuda:2", "cuda:3"}
    assert await bench.store.get("queue.devices") == pauses.devices
    await asyncio.gather(*(pauses.resume(f"cuda:{number}") for number in range(3)))
    assert set(pauses.devices) == {"cuda:3"}


async def test_a_pause_while_room_is_looked_for_outlasts_the_process(bench: Bench) -> None:
    pauses = bench.queue._holding
    await asyncio.gather(pauses.pause(None, "mine"), pauses._can_write())
    assert await bench.store.get("queue.paused") == "mine"


async def test_submissions_at_once_do_not_pass_the_limit(open_bench: Open) -> None:
    bench = await open_bench(limits=Limits(queued=5))
    await bench.queue.pause()
    tries = [bench.submit({"sum": bench.node("faults.Add", a=number)}) for number in range(12)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    refused = [result for result in results if isinstance(result, ApiError)]
    assert (len(results) - len(refused), {error.status for error in refused}) == (5, {429})


@pytest.mark.usefixtures("unarmed")
@pytest.mark.parametrize("name", ["publish.reserve.before", "publish.place.before", "publish.settled"])
async def test_outputs_that_cannot_be_published_for_whatever_reason_fail_the_job(bench: Bench, name: str) -> None:
    faults.arm({faults.VARIABLE: f"{name}@1:raise"})
    save = bench.node("faults.Save")
    job = await bench.run({"save": save, "last": bench.node("faults.Sleep", {"value": "save.out"}, seconds=0.3)})
    assert job.state is State.FAILED, job
    assert await bench.store.unsettled() == []


async def test_a_store_that_is_held_for_a_while_loses_no_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "RETRY_SECONDS", 0.05)
    bench.store._database._connection.execute("PRAGMA busy_timeout = 50")
    running = await bench.submit({"long": bench.node("faults.Sleep", seconds=0.3)})
    await bench.begun(running)
    queued = [await bench.submit({"sum": bench.node("faults.Add", a=number)}) for number in range(3)]
    with closing(sqlite3.connect(bench.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError):
            await bench.queue.clear("owner")
        with pytest.raises(StoreBusyError):
            await bench.queue.cancel(queued[0])
        await asyncio.sleep(1.0)
        other.execute("ROLLBACK")
    assert [(await bench.end(job)).state for job in (running, *queued)] == [State.DONE] * 4


async def test_a_cancel_holds_though_the_job_could_not_even_begin(
    bench: Bench, unarmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(attempt, "RETRY_SECONDS", 0.02)
    await bench.queue.pause()
    job = await bench.submit({"sum": bench.node("faults.Add", a=1)})
    points = [f"store.commit.before@{number}:full" for number in (2, 3, 4)]  # after that of `resume`
    faults.arm({faults.VARIABLE: ",".join(points)})
    await asyncio.gather(bench.queue.resume(), _cancelled_once_taken(bench, job))
    job = await bench.end(job)
    assert job.state is State.CANCELLED
    assert job.attempts == 0


async def _cancelled_once_taken(bench: Bench, job: Job) -> None:
    while job.id not in bench.queue._dispatch.attempts:
        await asyncio.sleep(0)
    with suppress(ApiError):  # it is told that there is no room
        await bench.queue.cancel(job)


async def test_failed_items_are_run_again_once_however_often_that_is_asked(bench: Bench) -> None:
    item = bench.submission({"bad": bench.node("faults.Raise")})
    batch, jobs = await bench.queue.submit_batch("owner", "all", [item, item])
    for job in jobs:
        await bench.end(job)
    await bench.queue.pause()  # what has failed anew may be run again anew
    again = await asyncio.gather(*(bench.queue.retry_batch(batch, "owner") for _ in range(3)))
    assert sorted(map(len, again)) == [0, 0, 2]
