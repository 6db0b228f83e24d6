"""Jobs are stopped: queued or running, listening or deaf, by hand, by time, by the end of the server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from nodegraph.server.records import State

if TYPE_CHECKING:
    from tests.server.queue.conftest import Bench, Open


async def test_a_queued_job_is_cancelled_at_once_and_never_begins(bench: Bench) -> None:
    first = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.5)})
    second = await bench.submit({"save": "faults.Save"})
    cancelled = await bench.queue.cancel(second)
    assert (cancelled.state, cancelled.attempts) == (State.CANCELLED, 0)
    assert (await bench.end(first)).state is State.DONE
    assert bench.types(second) == ["job.queued", "job.cancelled"]
    assert bench.files() == []


async def test_a_running_job_stops_at_its_next_step(bench: Bench) -> None:
    job = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=30, steps=1500)})
    await bench.begun(job)
    began = time.monotonic()
    asked = await bench.queue.cancel(job)
    assert asked.state is State.RUNNING
    assert (await bench.queue.view(asked)).cancelling
    ended = await bench.end(job)
    assert time.monotonic() - began < 1
    assert ended.state is State.CANCELLED
    assert ended.failure is None
    assert [run.state for run in await bench.store.report(job.id)] == ["cancelled"]
    assert bench.queue.devices()[0].restarts == 0


@pytest.mark.parametrize("type", ["faults.Stubborn", "faults.Deaf"])
async def test_a_job_that_does_not_listen_is_killed_and_the_next_one_runs(open_bench: Open, type: str) -> None:
    bench = await open_bench(cancel_seconds=0.5)
    job = await bench.submit({"stuck": bench.node(type, seconds=60)})
    after = await bench.submit({"sum": bench.node("faults.Add", a=1)})
    await bench.until(lambda: bench.queue.state()["running"] == 1)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await bench.queue.cancel(job)
    ended = await bench.end(job)
    assert 0.4 < time.monotonic() - began < 3
    assert (ended.state, ended.attempts) == (State.CANCELLED, 1)
    assert (await bench.end(after)).state is State.DONE


async def test_a_job_beyond_its_time_has_failed(bench: Bench) -> None:
    job = await bench.run({"sleep": bench.node("faults.Sleep", seconds=30, steps=1500)}, timeout=0.5)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "timed_out"
    assert "0.5 seconds" in job.failure.message


async def test_a_final_state_stays_whatever_is_asked_later(bench: Bench) -> None:
    job = await bench.run({"sum": bench.node("faults.Add", a=1)})
    answers = await asyncio.gather(*(bench.queue.cancel(job) for _ in range(20)))
    assert {answer.state for answer in answers} == {State.DONE}
    assert bench.types(job)[-1] == "job.done"


async def test_a_storm_of_cancels_ends_each_job_once(bench: Bench) -> None:
    lives = [60, *([0.05] * 29)]
    jobs = [await bench.submit({"sleep": bench.node("faults.Sleep", seconds=each, steps=600)}) for each in lives]
    await bench.begun(jobs[0])
    await asyncio.gather(*(bench.queue.cancel(job) for job in [*jobs, *jobs]))
    for job in jobs:
        await bench.end(job)
        finals = [type for type in bench.types(job) if type in ("job.done", "job.cancelled", "job.failed")]
        assert len(finals) == 1
    assert bench.queue.state() == {"paused": False, "reason": None, "queued": 0, "running": 0, "waiting": 0}


async def test_a_batch_is_cancelled_as_one_and_counts_its_items(bench: Bench) -> None:
    items = [bench.submission({"sleep": bench.node("faults.Sleep", seconds=0.2)}) for _ in range(10)]
    batch, jobs = await bench.queue.submit_batch("owner", "ten", items)
    assert await bench.queue.cancel_batch(batch) == 10
    for job in jobs:
        await bench.end(job)
    found = await bench.store.batch(batch.id)
    assert found is not None
    assert found.counts == {State.CANCELLED: 10}
    await bench.until(lambda: any(event["type"] == "batch.changed" for event in bench.events()))


async def test_clear_cancels_only_what_is_queued(bench: Bench) -> None:
    running = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.5)})
    await bench.begun(running)
    for user in ("owner", "ann"):
        await bench.submit({"save": "faults.Save"}, user=user)
    assert await bench.queue.clear("owner") == 1
    assert await bench.queue.clear(None) == 1
    assert (await bench.end(running)).state is State.DONE


async def test_a_stop_lets_a_short_job_end_and_queues_a_long_one_again(open_bench: Open) -> None:
    bench = await open_bench(workers=2)
    await bench.until(lambda: [device.state for device in bench.queue.devices()] == ["idle", "idle"])
    short = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.6)})
    long = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=60, steps=6000)})
    await bench.begun(short)
    await bench.begun(long)
    began = time.monotonic()
    await bench.queue.stop(3)
    assert time.monotonic() - began < 4
    found = [await bench.store.job(job.id) for job in (short, long)]
    assert [(job and job.state, job and job.attempts) for job in found] == [(State.DONE, 1), (State.QUEUED, 0)]


async def test_a_stop_without_grace_loses_nothing(open_bench: Open) -> None:
    bench = await open_bench()
    await bench.ready()
    job = await bench.submit({"stuck": bench.node("faults.Stubborn", seconds=60)})
    await bench.begun(job)
    began = time.monotonic()
    await bench.queue.stop(0)
    assert time.monotonic() - began < 3
    found = await bench.store.job(job.id)
    assert found is not None
    assert (found.state, found.attempts) == (State.QUEUED, 0)


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_cancel_that_was_answered_holds_when_the_server_is_killed_before_the_job_stops(
    open_bench: Open, attempts: int
) -> None:
    first = await open_bench(cancel_seconds=60)
    await first.ready()
    job = await first.submit({"stuck": first.node("faults.Stubborn", seconds=60)})
    await first.begun(job)
    await first.queue.cancel(job)
    # What a killed process leaves: the row says that the job runs.
    first.queue._dispatch.attempts[job.id].why = "stopping"
    await first.queue.stop(0)
    await first.store.claim(job.id, "cpu")
    for _ in range(attempts - 1):
        await first.store.release(job.id, counted=True)
        await first.store.claim(job.id, "cpu")
    await first.store.put("queue.cancelling", [job.id])
    second = await open_bench()
    found = await second.store.job(job.id)
    assert found is not None
    assert found.state is State.CANCELLED
