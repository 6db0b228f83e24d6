"""What is asked of the queue beside running: limits, retries, moves, pauses, removal, restarts."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nodegraph.server import faults
from nodegraph.server.errors import ApiError
from nodegraph.server.records import State
from nodegraph.server.settings import Limits

if TYPE_CHECKING:
    from tests.server.queue.conftest import Bench, Open

SUM = {"sum": {"type": "faults.Add", "params": {"a": 1}}}


async def held(open_bench: Open, **changes: Any) -> Bench:
    """Return a queue that is paused."""
    bench = await open_bench(**changes)
    await bench.queue.pause()
    return bench


async def status(call: Any) -> int:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value.status


async def test_who_has_too_many_jobs_is_told_when_to_come_back(open_bench: Open) -> None:
    bench = await held(open_bench, limits=Limits(queued=3))
    for _ in range(3):
        await bench.submit(SUM)
    with pytest.raises(ApiError) as caught:
        await bench.submit(SUM)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "30"})
    assert "limit of 3" in caught.value.message
    await bench.submit(SUM, user="ann")


async def test_who_has_as_many_jobs_as_may_be_gets_those_of_a_key_again(open_bench: Open) -> None:
    bench = await held(open_bench, limits=Limits(queued=3))
    items = [bench.submission(SUM), bench.submission(SUM)]
    job = await bench.submit(SUM, key="one")
    batch, _ = await bench.queue.submit_batch("owner", "two", items, "two")
    assert await bench.submit(SUM, key="one") == job
    again, jobs = await bench.queue.submit_batch("owner", "two", items, "two")
    assert (again, len(jobs)) == (batch, 2)
    assert await status(bench.submit(SUM, key="three")) == 429
    assert await status(bench.queue.submit_batch("owner", "two", items, "three")) == 429


async def test_nothing_is_taken_in_while_stopping(open_bench: Open) -> None:
    bench = await open_bench()
    await bench.queue.stop(0)
    assert await status(bench.submit(SUM)) == 503


async def test_a_key_gives_the_first_job_again_and_runs_it_once(bench: Bench) -> None:
    jobs = [await bench.submit({"save": "faults.Save"}, key="k") for _ in range(3)]
    await bench.end(jobs[0])
    jobs.append(await bench.submit({"save": "faults.Save"}, key="k"))
    assert len({job.id for job in jobs}) == 1
    assert jobs[-1].state is State.DONE
    assert len(bench.files()) == 1
    assert bench.types(jobs[0]).count("job.queued") == 1


async def test_a_retry_is_a_new_job_and_only_for_what_has_ended(bench: Bench) -> None:
    job = await bench.submit({"bad": "faults.Raise"}, name="n", priority=2, client="c")
    ended = await bench.end(job)
    again = await bench.queue.retry(ended, "owner")
    assert (again.retry_of, again.name, again.priority, again.client) == (job.id, "n", 2, "c")
    assert (await bench.end(again)).state is State.FAILED
    running = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.5)})
    assert await status(bench.queue.retry(running, "owner")) == 409


async def test_only_the_failed_items_of_a_batch_are_run_again_and_once(bench: Bench) -> None:
    marker = str(bench.settings.data / "once")
    items = [bench.submission(SUM), bench.submission({"bad": bench.node("faults.Raise", once=marker)})]
    batch, jobs = await bench.queue.submit_batch("owner", "two", items)
    for job in jobs:
        await bench.end(job)
    (again,) = await bench.queue.retry_batch(batch, "owner")
    assert (again.batch, again.retry_of) == (batch.id, jobs[1].id)
    assert (await bench.end(again)).state is State.DONE
    assert await bench.queue.retry_batch(batch, "owner") == []


async def test_a_move_changes_what_runs_next(open_bench: Open) -> None:
    bench = await held(open_bench)
    jobs = [await bench.submit(SUM) for _ in range(4)]
    await bench.queue.move(jobs[3], end="first")
    await bench.queue.move(jobs[2], before=jobs[0].id)
    await bench.queue.move(jobs[1], priority=7)
    shown = await bench.queue.snapshot("owner")
    assert [job["id"] for job in shown["jobs"]] == [jobs[at].id for at in (1, 3, 2, 0)]
    assert [job["place"] for job in shown["jobs"]] == [0, 1, 2, 3]
    await bench.queue.cancel(jobs[0])
    assert await status(bench.queue.move(jobs[0], end="last")) == 409


async def test_whoever_gets_another_position_is_told(open_bench: Open) -> None:
    bench = await held(open_bench)
    jobs = [await bench.submit(SUM) for _ in range(4)]
    for number in range(70):  # half the distance each time: there is no room any more at some point
        await bench.queue.move(jobs[2 + number % 2], after=jobs[0].id)
    assert bench.store.reordered == 1
    shown = {job.id: job.position for job in jobs}
    shown |= {event["job"]: event["data"]["position"] for event in bench.events() if event["type"] == "job.changed"}
    assert shown == {job.id: job.position for job in await bench.store.pending()}


async def test_a_pause_outlasts_the_process_and_ends_by_resume(open_bench: Open) -> None:
    first = await held(open_bench)
    job = await first.submit(SUM)
    await first.ready()
    await asyncio.sleep(0.1)
    await first.queue.stop(0)
    await first.store.close()
    second = await open_bench()
    await second.ready()
    await asyncio.sleep(0.1)
    assert second.queue.paused == "paused"
    assert second.queue.state()["queued"] == 1
    await second.queue.resume()
    assert (await second.end(job)).state is State.DONE


async def test_a_paused_device_ends_its_job_and_takes_no_other(bench: Bench) -> None:
    running = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.3)})
    await bench.begun(running)
    await bench.queue.pause("cpu", "hot")
    assert (await bench.end(running)).state is State.DONE
    job = await bench.submit(SUM)
    await asyncio.sleep(0.1)
    (device,) = bench.queue.devices()
    assert (device.state, device.reason) == ("paused", "hot")
    assert bench.queue.state()["queued"] == 1
    await bench.queue.resume("cpu")
    assert (await bench.end(job)).state is State.DONE
    assert await status(bench.queue.pause("cuda:7")) == 404


async def test_a_job_for_which_the_disk_is_full_fails_in_words_and_the_queue_goes_on_by_itself(bench: Bench) -> None:
    job = await bench.run({"full": bench.node("faults.Raise", kind="NoSpace")})
    assert job.failure is not None
    assert job.failure.code == "disk_full"
    assert bench.queue.paused == "disk full"
    assert (await bench.run(SUM)).state is State.DONE
    assert bench.queue.paused is None


async def test_below_the_reserve_nothing_begins(open_bench: Open) -> None:
    bench = await open_bench(reserve=2**62)
    await bench.submit(SUM)
    await bench.ready()
    await asyncio.sleep(0.1)
    assert bench.queue.state() == {"paused": True, "reason": "disk full", "queued": 1, "running": 0, "waiting": 0}


@pytest.fixture
async def failing() -> AsyncIterator[Any]:
    """Arm fault points of this process."""
    yield lambda text: faults.arm({faults.VARIABLE: text})
    faults.arm({})


@pytest.mark.parametrize("point", ["publish.reserve.before", "publish.reserve.after", "publish.place.before",
                                   "publish.place.after", "publish.synced", "publish.settled"])  # fmt: skip
async def test_no_room_while_publishing_leaves_nothing_behind(bench: Bench, failing: Any, point: str) -> None:
    failing(f"{point}@1:full")
    job = await bench.run({"save": bench.node("faults.Save", count=2)})
    assert job.failure is not None
    assert (job.failure.code, job.failure.node) == ("disk_full", "save")
    assert os_words() not in job.failure.message
    assert bench.files() == []
    assert await bench.outputs(job) == []
    assert await bench.store.unsettled() == []
    again = await bench.end(await bench.queue.retry(job, "owner"))
    assert again.state is State.DONE
    assert len(bench.files()) == 2


def os_words() -> str:
    return errno.errorcode[errno.ENOSPC]


async def test_an_output_folder_that_vanishes_fails_its_job_alone(bench: Bench) -> None:
    assert (await bench.run({"save": "faults.Save"})).state is State.DONE
    output = bench.settings.data / "output"
    output.rename(output.with_name("elsewhere"))
    job = await bench.run({"save": "faults.Save"})
    assert job.failure is not None
    assert (job.failure.code, job.failure.node) == ("output_folder", "save")
    assert str(bench.settings.data) not in job.failure.message
    assert (await bench.run(SUM)).state is State.DONE
    output.with_name("elsewhere").rename(output)
    assert (await bench.run({"save": "faults.Save"})).state is State.DONE
    assert len(bench.files()) == 2


async def test_deleting_a_job_keeps_its_outputs_unless_told_and_takes_its_previews(bench: Bench) -> None:
    (bench.settings.data / "input").mkdir()
    Image.new("RGB", (8, 8)).save(bench.settings.data / "input" / "in.png")
    nodes = {
        "save": bench.node("faults.Save"),
        "load": bench.node("LoadImage", image="in.png"),
        "show": bench.node("PreviewImage", {"images": "load.image"}),
    }
    kept, gone = [await bench.run(nodes) for _ in range(2)]
    assert len(bench.files("temp")) == 2
    assert await bench.queue.delete([kept]) == 1
    assert (len(bench.files()), len(bench.files("temp"))) == (2, 1)
    assert [output.kind for output in await bench.outputs(kept)] == ["output"]
    await bench.queue.delete([gone], outputs=True)
    assert (len(bench.files()), bench.files("temp")) == (1, [])
    assert bench.types(gone).count("output.removed") == 2
    assert bench.types(gone)[-1] == "job.deleted"
    assert await status(bench.queue.delete([gone])) == 404


async def test_what_runs_cannot_be_deleted(bench: Bench) -> None:
    job = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.5)})
    assert await status(bench.queue.delete([job])) == 409


async def test_pruning_keeps_the_newest(bench: Bench) -> None:
    jobs = [await bench.run(SUM) for _ in range(4)]
    assert await bench.queue.prune("owner", keep=1) == 3
    assert [await bench.store.job(job.id) is None for job in jobs] == [True, True, True, False]


async def test_exported_jobs_are_taken_in_and_run(bench: Bench, open_bench: Open, tmp_path: Any) -> None:
    done = await bench.run(SUM)
    await bench.queue.pause()
    queued = await bench.submit(SUM)
    other = await open_bench(tmp_path / "other")
    counts = await other.queue.import_jobs("ann", bench.store.export_jobs("owner"))
    assert counts == {"history": 1, "queued": 1, "skipped": 0}
    assert (await other.end(queued)).state is State.DONE
    assert (await other.store.job(done.id)) is not None


async def test_until_at_rest_gives_a_job_that_goes_on_when_the_time_is_up_and_none_for_no_job(bench: Bench) -> None:
    job = await bench.submit({"sleep": bench.node("faults.Sleep", seconds=0.5)})
    found = await bench.queue.until_at_rest(job.id, 0.05)
    assert found is not None
    assert not found.state.final
    assert await bench.queue.until_at_rest("nothing", 0.05) is None
    await bench.end(job)
