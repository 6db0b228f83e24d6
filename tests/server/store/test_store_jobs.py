"""Jobs: added, led from state to state, each change only from the state that it leads on from."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodegraph.server.records import FINAL, Failure, Job, NodeRun, Question, State, Submission
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]
REPORT = (
    NodeRun(node="prompt", type="faults.Text", state="finished", seconds=0.5, memory={"cpu": 2**33}),
    NodeRun(node="sink", type="faults.Save", state="failed", message="sink: no \ud800 room"),
)


async def test_a_job_comes_back_as_it_was_given_also_after_a_restart(store: Store, submit: Submit) -> None:
    given = submit(
        inputs={"seed": 2**64 - 1, "text": 'ärger "quoted" \u0000 \U0001f600', "list": [1.5, None, True]},
        targets=("a", "b/c"), name="naïve", signature="s" * 64, nodes=7, priority=-3, client="editor",
        timeout=12.5, webhook="http://127.0.0.1:9/hook", retry_of="f" * 32,
    )  # fmt: skip
    (job,) = await store.add("owner", [given])
    await store.close()
    again = await Store.open(store.path.parent)
    found = await again.job(job.id)
    document = await again.document(job.document)
    await again.close()
    assert found == job
    assert document == given.document
    assert (job.state, job.user, job.attempts, job.position) == (State.QUEUED, "owner", 0, float(job.seq))
    assert {name: getattr(job, name) for name in ("inputs", "targets", "name", "signature", "nodes", "priority")} == {
        name: getattr(given, name) for name in ("inputs", "targets", "name", "signature", "nodes", "priority")
    }
    assert (job.client, job.timeout, job.webhook, job.retry_of) == ("editor", 12.5, given.webhook, "f" * 32)


async def test_what_utf8_cannot_hold_does_not_stop_a_job(store: Store, submit: Submit) -> None:
    (job,) = await store.add("owner", [submit(name="lone \ud800", inputs={"text": "also \udfff"})])
    failure = Failure(code="node_failed", message="about \ud800")
    done = await store.finish(job.id, State.FAILED, failure=failure)
    assert done is not None
    assert done.failure == failure
    assert done.inputs == {"text": "also \udfff"}
    assert done.name == "lone ?"


async def test_a_job_runs_and_ends_once(store: Store, submit: Submit) -> None:
    (job,) = await store.add("owner", [submit()])
    running = await store.claim(job.id, "cpu")
    assert running is not None
    assert (running.state, running.attempts, running.device) == (State.RUNNING, 1, "cpu")
    assert running.started is not None
    assert await store.claim(job.id, "cuda:0") is None
    done = await store.finish(job.id, State.DONE, seconds=1.5, memory={"cpu": 5}, report=REPORT, values={"n": 3})
    assert done is not None
    assert (done.state, done.seconds, done.memory, done.values) == (State.DONE, 1.5, {"cpu": 5}, {"n": 3})
    assert done.ended is not None
    assert await store.report(job.id) == REPORT
    for state in FINAL:
        assert await store.finish(job.id, state) is None
    assert await store.release(job.id, counted=True) is None
    assert await store.claim(job.id, "cpu") is None
    assert await store.job(job.id) == done


async def test_a_job_cannot_end_in_a_state_that_is_no_end(store: Store, submit: Submit) -> None:
    (job,) = await store.add("owner", [submit()])
    with pytest.raises(StoreError, match="no state that a job ends in"):
        await store.finish(job.id, State.WAITING)
    assert await store.job(job.id) == job


async def test_a_job_whose_process_dies_is_run_again_once(store: Store, submit: Submit) -> None:
    first, second = await store.add("owner", [submit(), submit()])
    for _ in range(3):  # an attempt that is not counted is none
        await store.claim(first.id, "cpu")
        released = await store.release(first.id, counted=False)
        assert released == first
    await store.claim(first.id, "cpu")
    again = await store.release(first.id, counted=True)
    assert again == replace(first, attempts=1)
    assert [job.id for job in await store.pending()] == [first.id, second.id]
    await store.claim(first.id, "cpu")
    failure = Failure(code="crashed_twice", message="was killed by signal 11", node="prompt")
    failed = await store.release(first.id, counted=True, failure=failure, report=REPORT)
    assert failed is not None
    assert (failed.state, failed.attempts, failed.failure) == (State.FAILED, 2, failure)
    assert await store.report(first.id) == REPORT


async def test_recovery_releases_what_was_running_and_fails_what_crashed_twice(store: Store, submit: Submit) -> None:
    jobs = await store.add("owner", [submit() for _ in range(5)])
    for job in jobs[:3]:
        await store.claim(job.id, "cpu")
    first = await store.recover()
    assert [(job.id, job.state, job.attempts) for job in first] == [(job.id, State.QUEUED, 1) for job in jobs[:3]]
    await store.claim(jobs[1].id, "cpu")
    (second,) = await store.recover()
    assert (second.id, second.state) == (jobs[1].id, State.FAILED)
    assert second.failure is not None
    assert second.failure.code == "crashed_twice"
    assert await store.recover() == []
    assert [job.id for job in await store.pending()] == [jobs[0].id, jobs[2].id, jobs[3].id, jobs[4].id]


async def test_a_job_that_waits_for_a_person_goes_on_with_the_answer(store: Store, submit: Submit) -> None:
    others = await store.add("owner", [submit(), submit()])
    (job,) = await store.add("owner", [submit()])
    question = Question(node="gate", question="Which?", choices=("left", 2, None), outputs=("a" * 32,))
    assert await store.wait(job.id, [question]) is None
    assert await store.answer(job.id, {"gate": "left"}) is None
    await store.claim(job.id, "cpu")
    waiting = await store.wait(job.id, [question], REPORT)
    assert waiting is not None
    assert (waiting.state, waiting.questions, waiting.attempts, waiting.device) == (State.WAITING, (question,), 0, None)
    assert await store.recover() == []
    queued = await store.answer(job.id, {"gate": "left"})
    assert queued is not None
    assert (queued.state, queued.answers, queued.questions) == (State.QUEUED, {"gate": "left"}, ())
    assert [each.id for each in await store.pending()] == [job.id, *(other.id for other in others)]
    await store.claim(job.id, "cpu")
    await store.wait(job.id, [question])
    more = await store.answer(job.id, {"next": 2})
    assert more is not None
    assert more.answers == {"gate": "left", "next": 2}


async def test_of_many_who_claim_or_end_a_job_one_succeeds(store: Store, submit: Submit) -> None:
    (job,) = await store.add("owner", [submit()])
    claimed = await asyncio.gather(*(store.claim(job.id, f"cuda:{number}") for number in range(20)))
    assert sum(one is not None for one in claimed) == 1
    ended = await asyncio.gather(*(store.finish(job.id, state) for state in sorted(FINAL) * 10))
    assert [one.state for one in ended if one is not None] == [sorted(FINAL)[0]]


async def test_the_same_key_is_the_same_job(store: Store, submit: Submit) -> None:
    (first,) = await store.add("owner", [submit(key="k")])
    again, new = await store.add("owner", [submit("other", key="k"), submit(key="new")])
    assert again == first
    assert new.id != first.id
    (other_user,) = await store.add("anna", [submit(key="k")])
    assert other_user.id != first.id
    twice = await store.add("owner", [submit(key="twice"), submit(key="twice")])
    assert twice[0] == twice[1]
    assert await store.by_key("owner", "k") == first
    assert await store.by_key("anna", "twice") is None
    assert sum((await store.counts()).values()) == 4


async def test_a_batch_is_one_submission_with_a_state_of_each_item(store: Store, submit: Submit) -> None:
    batch, jobs = await store.add_batch("owner", "Seeds", [submit(inputs={"seed": n}) for n in range(4)], key="b")
    assert [(job.batch, job.index) for job in jobs] == [(batch.id, index) for index in range(4)]
    assert (batch.total, batch.counts) == (4, {State.QUEUED: 4})
    await store.finish(jobs[1].id, State.CANCELLED)
    same, jobs_again = await store.add_batch("owner", "Seeds", [submit()], key="b")
    assert same.id == batch.id
    assert same.counts == {State.QUEUED: 3, State.CANCELLED: 1}
    assert [job.id for job in jobs_again] == [job.id for job in jobs]
    (late,) = await store.add("owner", [submit()], batch=batch.id)
    assert (late.batch, late.index) == (batch.id, 4)
    assert (await store.batch(batch.id)) is not None
    assert (await store.batch(batch.id, "anna")) is None
    with pytest.raises(StoreError, match="there is no batch"):
        await store.add("anna", [submit()], batch=batch.id)
    assert sum((await store.counts()).values()) == 5


async def test_a_workflow_is_kept_once(store: Store, submit: Submit) -> None:
    await store.add("owner", [submit("same") for _ in range(50)])
    await store.add("anna", [submit("same"), submit("other")])
    assert (await store.usage()).documents == 2
    with pytest.raises(StoreError, match="no workflow"):
        await store.document("0" * 64)


async def test_order_is_by_sequence_when_the_clock_goes_back(
    store: Store, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(2_000_000_000, 1_000_000_000, -3600))
    monkeypatch.setattr("time.time", lambda: float(next(times)))
    jobs = [job for _ in range(5) for job in await store.add("owner", [submit()])]
    assert [job.id for job in await store.pending()] == [job.id for job in jobs]
    assert [job.id for job in (await store.jobs()).items] == [job.id for job in reversed(jobs)]
    await store.claim(jobs[0].id, "cpu")
    done = await store.finish(jobs[0].id, State.DONE)
    assert done is not None
    assert done.started is not None
    assert done.ended is not None
    assert done.ended >= done.started


STARTS = {"claim": State.QUEUED, "release": State.RUNNING, "crash": State.RUNNING, "wait": State.RUNNING}


async def step(store: Store, id: str, name: str, state: State) -> Job | None:
    match name:
        case "claim":
            return await store.claim(id, "cpu")
        case "release" | "crash":
            return await store.release(id, counted=name == "crash")
        case "wait":
            return await store.wait(id, [Question(node="g", question="?", choices=())])
        case "answer":
            return await store.answer(id, {"g": 1})
        case _:
            return await store.finish(id, state)


async def test_every_walk_through_the_states_ends_at_most_once(store: Store, submit: Submit) -> None:
    chance = random.Random(7)
    jobs = await store.add("owner", [submit() for _ in range(40)])
    ended: dict[str, State] = {}
    for _ in range(800):
        id, name = chance.choice(jobs).id, chance.choice([*STARTS, "claim", "answer", "finish"])
        before = await store.job(id)
        assert before is not None
        after = await step(store, id, name, chance.choice(sorted(FINAL)))
        starts = {**STARTS, "answer": State.WAITING}
        assert (after is not None) == (not before.state.final if name == "finish" else before.state is starts[name])
        assert await store.job(id) == (after or before)
        if before.state.final:
            assert ended[id] is before.state
        elif after is not None and after.state.final:
            ended[id] = after.state
    counts = await store.counts()
    assert sum(counts.get(state, 0) for state in FINAL) == len(ended) > 0


async def test_the_file_is_its_owners_alone(store: Store, tmp_path: Path) -> None:
    await store.put("secret", 1)
    for name in ("nodegraph.db", "nodegraph.db-wal"):
        assert (tmp_path / "data" / name).stat().st_mode & 0o077 == 0
