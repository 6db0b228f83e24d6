"""Jobs that wait for a person: the device is free meanwhile, and nothing is computed twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nodegraph.server import publishing
from nodegraph.server.errors import ApiError
from nodegraph.server.records import State

if TYPE_CHECKING:
    from tests.server.queue.conftest import Bench, Open


def gated(bench: Bench, log: Path) -> dict[str, Any]:
    """Return nodes of a job that works, asks, and saves."""
    return {
        "work": bench.node("faults.Work", value=2, log=str(log)),
        "gate": bench.node("Gate", {"value": "work.out"}, question="Well?", choices="yes\nno\nstop"),
        "save": bench.node("faults.Save", {"count": "gate.out"}),
    }


async def until_waiting(bench: Bench, id: str) -> None:
    await bench.until(lambda: bench.queue.state()["waiting"] == 1)
    found = await bench.store.job(id)
    assert found is not None
    assert found.state is State.WAITING


async def test_a_gate_frees_the_device_and_an_answer_goes_on_from_the_cache(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = await bench.submit(gated(bench, log))
    await until_waiting(bench, job.id)
    assert (await bench.run({"sum": bench.node("faults.Add", a=1)})).state is State.DONE
    waiting = await bench.store.job(job.id)
    assert waiting is not None
    (question,) = waiting.questions
    assert (question.node, question.question, question.choices) == ("gate", "Well?", ("yes", "no", "stop"))
    assert "job.waiting" in bench.types(job)
    queued = await bench.queue.answer(waiting, {"gate": "yes"})
    assert queued.state is State.QUEUED
    done = await bench.end(job)
    assert (done.state, done.attempts) == (State.DONE, 1)
    assert len(bench.files()) == 2
    assert log.read_text() == "work\n"
    assert bench.queue.state()["waiting"] == 0


async def test_answers_that_do_not_fit_are_refused(bench: Bench, tmp_path: Path) -> None:
    job = await bench.submit(gated(bench, tmp_path / "log"))
    await until_waiting(bench, job.id)
    for answers in ({"gate": "maybe"}, {"work": "yes"}, {}):
        with pytest.raises(ApiError) as caught:
            await bench.queue.answer(job, answers)
        assert caught.value.status == 422
    await bench.queue.cancel(job)
    with pytest.raises(ApiError) as caught:
        await bench.queue.answer(job, {"gate": "yes"})
    assert caught.value.status == 409


async def test_a_waiting_job_waits_on_after_a_restart_and_can_be_cancelled(open_bench: Open, tmp_path: Path) -> None:
    first = await open_bench()
    job = await first.submit(gated(first, tmp_path / "log"))
    await until_waiting(first, job.id)
    await first.queue.stop(0)
    await first.store.close()
    second = await open_bench()
    assert second.queue.state()["waiting"] == 1
    assert (await second.queue.cancel(job)).state is State.CANCELLED
    assert second.queue.state()["waiting"] == 0


async def test_the_answer_stop_cancels_the_job(bench: Bench, tmp_path: Path) -> None:
    job = await bench.submit(gated(bench, tmp_path / "log"))
    await until_waiting(bench, job.id)
    await bench.queue.answer(job, {"gate": "stop"})
    assert (await bench.end(job)).state is State.CANCELLED
    assert bench.files() == []


async def test_what_a_question_is_about_is_kept_as_long_as_it_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        "mask": bench.node("SolidMask", width=16, height=16),
        "picture": bench.node("MaskToImage", {"mask": "mask.out"}),
        "gate": bench.node("Gate", {"value": "picture.out"}, choices="yes"),
    }
    job = await bench.submit(nodes)
    await until_waiting(bench, job.id)
    (shown,) = await bench.outputs(job, "temp")
    monkeypatch.setattr(publishing, "TEMP_SECONDS", -60.0)
    assert await bench.queue._publisher.remove_old() == []
    await bench.queue.cancel(job)
    assert [output.id for output in await bench.queue._publisher.remove_old()] == [shown.id]
    assert bench.files("temp") == []
