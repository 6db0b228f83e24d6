"""Jobs run: results, failures, crashes, what is told of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nodegraph.server.records import State

if TYPE_CHECKING:
    from tests.server.queue.conftest import Bench, Open


async def test_a_job_is_done_with_its_values_report_files_and_events(bench: Bench) -> None:
    nodes = {"sum": bench.node("faults.Add", a=20, b=3), "save": bench.node("faults.Save", count=2, size=8)}
    job = await bench.run(nodes, file={"outputs": {"sum": "sum.out"}})
    assert (job.state, job.attempts, job.device, job.failure) == (State.DONE, 1, "cpu", None)
    assert job.values == {"sum": 23}
    assert {run.node: run.state for run in await bench.store.report(job.id)} == {"sum": "finished", "save": "finished"}
    assert bench.files() == ["faults_00001_.png", "faults_00002_.png"]
    told = bench.types(job)
    assert told[:2] == ["job.queued", "job.running"]
    assert told[-1] == "job.done"
    assert told.count("output.added") == 2
    assert told.count("node.finished") == 2
    await bench.until(lambda: bench.files("staging") == [])


async def test_a_failed_job_tells_node_and_reason_and_publishes_what_finished(bench: Bench) -> None:
    nodes = {
        "good": bench.node("faults.Save"),
        "bad": bench.node("faults.Raise", message="no such luck"),
        "save": bench.node("faults.Save", {"count": "bad.out"}, filename_prefix="never"),
    }
    job = await bench.run(nodes)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.node, job.failure.type) == ("node_failed", "bad", "faults.Raise")
    assert "no such luck" in job.failure.message
    assert bench.files() == ["faults_00001_.png"]
    assert (await bench.run({"next": "faults.Save"})).state is State.DONE


async def test_a_node_that_is_stopped_amid_its_files_publishes_none_of_them(bench: Bench) -> None:
    nodes = {"save": bench.node("faults.Save", count=3, seconds=0.3)}
    job = await bench.submit(nodes, timeout=0.5)
    job = await bench.end(job)
    assert job.failure is not None
    assert job.failure.code == "timed_out"
    assert bench.files() == []
    assert await bench.outputs(job) == []


@pytest.mark.parametrize("how", ["segfault", "exit", "kill"])
async def test_a_job_that_kills_its_process_twice_has_failed_and_the_next_one_runs(bench: Bench, how: str) -> None:
    poison = await bench.submit({"boom": bench.node("faults.Crash", how=how)})
    after = await bench.submit({"sum": bench.node("faults.Add", a=1)})
    job = await bench.end(poison)
    assert (job.state, job.attempts) == (State.FAILED, 2)
    assert job.failure is not None
    assert (job.failure.code, job.failure.node, job.failure.type) == ("crashed_twice", "boom", "faults.Crash")
    assert {"segfault": "signal 11", "exit": "exit code 3", "kill": "signal 9"}[how] in job.failure.message
    assert (await bench.end(after)).state is State.DONE
    (device,) = bench.queue.devices()
    assert device.restarts == 2
    assert "the worker" in device.reason
    assert bench.types(job).count("job.running") == 2


async def test_a_job_whose_process_dies_once_is_run_again(bench: Bench) -> None:
    marker = str(bench.settings.data / "crashed")
    nodes = {
        "save": bench.node("faults.Save", count=2),
        "boom": bench.node("faults.Crash", {"value": "wait.out"}, how="segfault", once=marker),
        "wait": bench.node("faults.Work", seconds=0.3),
    }
    job = await bench.run(nodes, file={"outputs": {"value": "boom.out"}})
    assert (job.state, job.attempts) == (State.DONE, 2)
    assert bench.files() == ["faults_00001_.png", "faults_00002_.png"]
    assert [output.ordinal for output in await bench.outputs(job)] == [0, 1]


async def test_a_worker_killed_from_outside_while_idle_comes_back(bench: Bench) -> None:
    pid = bench.queue.devices()[0].pid
    worker = bench.queue._dispatch.workers[0]
    assert worker.child is not None
    worker.child.kill()
    await bench.until(lambda: bench.queue.ready and bench.queue.devices()[0].pid not in (pid, None))
    assert (await bench.run({"sum": bench.node("faults.Add", a=1)})).state is State.DONE


async def test_two_workers_run_two_jobs_at_once(open_bench: Open) -> None:
    bench = await open_bench(workers=2)
    await bench.until(lambda: [device.state for device in bench.queue.devices()] == ["idle", "idle"])
    assert [device.id for device in bench.queue.devices()] == ["cpu", "cpu#2"]
    nodes = {"sleep": bench.node("faults.Sleep", seconds=1)}
    jobs = [await bench.submit(nodes) for _ in range(2)]
    for job in jobs:
        await bench.begun(job)
    assert bench.queue.state()["running"] == 2
    for job in jobs:
        assert (await bench.end(job)).state is State.DONE


async def test_without_names_of_devices_the_machine_tells_what_it_has(open_bench: Open) -> None:
    bench = await open_bench(devices=())
    assert [device.id for device in bench.queue.devices()] == ["auto"]
    await bench.ready()
    assert all(device.id != "auto" for device in bench.queue.devices())


async def test_progress_rises_to_one_and_past_runs_tell_what_is_left(bench: Bench) -> None:
    nodes = {
        "long": bench.node("faults.Sleep", seconds=0.8, steps=8),
        "short": bench.node("faults.Sleep", {"value": "long.out"}, seconds=0.1, steps=2),
    }
    first = await bench.run(nodes, signature="s")
    again = await bench.submit(nodes, signature="s")
    later = await bench.submit(nodes, signature="s")
    await bench.begun(again, "long")
    view = await bench.queue.view(again)
    assert view.left is not None
    assert 0.1 < view.left < 2
    queued = await bench.queue.view(later)
    assert queued.place == 0
    assert queued.left is not None
    assert queued.left > view.left
    done = await bench.end(again)
    values = [event["data"]["progress"] for event in bench.events(again) if event["type"].startswith("node.")]
    assert values == sorted(values)
    assert 0.5 < values[-1] < 1
    assert (await bench.queue.view(done)).progress == 1
    assert first.seconds > 0.8
    assert (await bench.queue.view(await bench.end(later))).left is None


async def test_an_invalid_workflow_fails_with_its_problems(bench: Bench) -> None:
    job = await bench.run({"sum": bench.node("faults.Nothing")})
    assert job.failure is not None
    assert job.failure.code == "invalid"
    assert job.failure.problems


async def test_previews_reach_whoever_looks(bench: Bench) -> None:
    job = await bench.submit({"show": bench.node("faults.Preview", count=20, seconds=1)})
    await bench.begun(job)
    async with asyncio.timeout(10):
        while (frame := bench.stream.preview()) is None:
            await asyncio.sleep(0.01)
    assert b"image/jpeg" in frame
    await bench.end(job)


async def test_two_workflows_with_the_same_prefix_number_their_files_on(bench: Bench) -> None:
    for _ in range(3):
        await bench.run({"a": "faults.Save", "b": "faults.Save"})
    assert bench.files() == [f"faults_{number:05}_.png" for number in range(1, 7)]


async def test_users_have_folders_of_their_own(bench: Bench) -> None:
    await bench.run({"a": "faults.Save"}, user="ann")
    assert bench.files() == []
    assert bench.files("users/ann/output") == ["faults_00001_.png"]
