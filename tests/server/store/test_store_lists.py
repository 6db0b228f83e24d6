"""Lists, searches, counts, and what goes when history is pruned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from nodegraph.server.records import FINAL, Batch, Failure, Job, Output, State, Submission
from nodegraph.server.store.errors import CursorError
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


async def finish(store: Store, jobs: Sequence[Job], state: State = State.DONE) -> None:
    for job in jobs:
        await store.finish(job.id, state)


async def written(store: Store, job: Job, kind: str = "output", ordinal: int = 0) -> Output:
    given = Output(id="", seq=0, job=job.id, user=job.user, node="sink", ordinal=ordinal, name="a.png", kind=kind)
    reserved = await store.reserve_output(given)
    settled = await store.settle_output(reserved.id, f"{job.id}-{ordinal}.png", 10, 4, 4, "image/png")
    assert settled is not None
    return settled


async def test_pages_follow_each_other_newest_first_while_jobs_are_added(store: Store, submit: Submit) -> None:
    jobs = await store.add("owner", [submit() for _ in range(25)])
    found = list[str]()
    cursor: str | None = None
    while True:
        page = await store.jobs("owner", cursor=cursor, limit=10)
        found.extend(job.id for job in page.items)
        await store.add("owner", [submit()])
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [job.id for job in reversed(jobs)]
    exact = await store.jobs("owner", limit=28)
    assert exact.cursor is None
    assert len(exact.items) == 28


@pytest.mark.parametrize("cursor", ["", "-1", "1; DROP TABLE jobs", "٣", "9" * 30, "1.5"])
async def test_what_is_no_cursor_is_refused(store: Store, cursor: str) -> None:
    for asked in (store.jobs, store.batches, store.outputs):
        with pytest.raises(CursorError, match="no cursor"):
            await asked(cursor=cursor)


async def test_lists_show_one_users_jobs_in_some_states(store: Store, submit: Submit) -> None:
    mine = await store.add("owner", [submit() for _ in range(3)])
    (hers,) = await store.add("anna", [submit()])
    await finish(store, mine[:1])
    assert [job.id for job in (await store.jobs("anna")).items] == [hers.id]
    assert {job.user for job in (await store.jobs()).items} == {"owner", "anna"}
    assert [job.id for job in (await store.jobs("owner", states=[State.DONE])).items] == [mine[0].id]
    open_jobs = await store.jobs(states={State.QUEUED, State.RUNNING})
    assert [job.id for job in open_jobs.items] == [hers.id, mine[2].id, mine[1].id]
    assert await store.job(hers.id, "owner") is None
    assert await store.job(hers.id, "anna") == hers
    assert await store.counts("owner") == {State.DONE: 1, State.QUEUED: 2}
    assert await store.counts() == {State.DONE: 1, State.QUEUED: 3}


async def test_a_search_looks_at_name_prompts_failure_and_ids(store: Store, submit: Submit) -> None:
    named, prompted, given, failed = await store.add(
        "owner",
        [
            submit(name="Straße nach Süden"),
            submit("A RED circle, watercolour"),
            submit(inputs={"prompt": {"text": ["a Blue square"]}}),
            submit(),
        ],
    )
    batch, items = await store.add_batch("owner", "b", [submit("batched")])
    await store.finish(failed.id, State.FAILED, failure=Failure(code="disk_full", message="No room is left"))

    async def found(text: str) -> list[str]:
        return [job.id for job in (await store.jobs("owner", text=text)).items]

    assert await found("STRASSE süden") == [named.id]
    assert await found("watercolour red") == [prompted.id]
    assert await found("blue SQU") == [given.id]
    assert await found("no room") == [failed.id]
    assert await found("disk_full") == [failed.id]
    assert await found(batch.id) == [items[0].id]
    assert await found(given.id[:20]) == [given.id]
    assert await found("watercolour square") == []
    assert await found("100%") == []
    assert await found("faults.Text") == []
    assert len(await found("  ")) == 5


async def test_batches_are_listed_with_the_states_of_their_items(store: Store, submit: Submit) -> None:
    batches = list[Batch]()
    for number in range(3):
        batch, jobs = await store.add_batch("owner", f"b{number}", [submit(), submit()])
        batches.append(batch)
        await finish(store, jobs[:number])
    await store.add_batch("anna", "hers", [submit()])
    page = await store.batches("owner", limit=2)
    assert [batch.name for batch in page.items] == ["b2", "b1"]
    assert [dict(batch.counts) for batch in page.items] == [{State.DONE: 2}, {State.DONE: 1, State.QUEUED: 1}]
    rest = await store.batches("owner", page.cursor)
    assert [batch.name for batch in rest.items] == ["b0"]
    assert rest.cursor is None
    items = await store.jobs("owner", batch=batches[1].id, states=[State.QUEUED])
    assert [job.index for job in items.items] == [1]


async def test_only_final_jobs_are_deleted_and_their_outputs_told(store: Store, submit: Submit) -> None:
    done, running, other = await store.add("owner", [submit("mine"), submit("running"), submit("mine")])
    await store.claim(running.id, "cpu")
    await finish(store, [done])
    output = await written(store, done)
    assert await store.delete([done.id, running.id, "no such job"]) == [output]
    assert await store.job(done.id) is None
    assert await store.job(running.id) is not None
    assert await store.output(output.id) == output
    assert await store.delete([done.id]) == []
    assert await store.document(other.document)
    await finish(store, [other])
    await store.delete([other.id])
    assert (await store.usage()).documents == 1
    assert await store.integrity() == []


async def test_a_batch_goes_with_its_last_job(store: Store, submit: Submit) -> None:
    batch, jobs = await store.add_batch("owner", "b", [submit(), submit()])
    await finish(store, jobs)
    await store.delete([jobs[0].id])
    left = await store.batch(batch.id)
    assert left is not None
    assert (left.total, left.counts) == (2, {State.DONE: 1})
    await store.delete([jobs[1].id])
    assert await store.batch(batch.id) is None


async def test_pruning_keeps_the_newest_and_what_has_not_ended(store: Store, submit: Submit) -> None:
    jobs = await store.add("owner", [submit() for _ in range(10)])
    hers = await store.add("anna", [submit(), submit()])
    await finish(store, [*jobs[:8], *hers])
    outputs = [await written(store, job, "temp") for job in jobs[:3]]
    count, freed = await store.prune(keep=5, user="owner")
    assert (count, freed) == (3, outputs)
    left = [job.id for job in (await store.jobs("owner")).items]
    assert left == [job.id for job in reversed(jobs[3:])]
    assert len((await store.jobs("anna")).items) == 2
    assert await store.prune(keep=5, user="owner") == (0, [])
    assert await store.prune(states=[State.QUEUED]) == (0, [])
    assert (await store.prune())[0] == 7
    assert await store.counts() == {State.QUEUED: 2}


async def test_pruning_by_time_and_state(store: Store, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    old, failed, new = await store.add("owner", [submit(), submit(), submit()])
    future = old.created + 1000
    monkeypatch.setattr("time.time", lambda: future)
    await finish(store, [old])
    await finish(store, [failed], State.FAILED)
    monkeypatch.setattr("time.time", lambda: future + 1000)
    await finish(store, [new])
    assert (await store.prune(before=future + 1, states=[State.DONE]))[0] == 1
    assert [job.id for job in (await store.jobs()).items] == [new.id, failed.id]


async def test_a_long_history_is_pruned_in_steps(store: Store, submit: Submit) -> None:
    batch, jobs = await store.add_batch("owner", "many", [submit() for _ in range(1203)])
    await asyncio.gather(*(store.finish(job.id, State.CANCELLED) for job in jobs))
    assert (await store.prune(keep=2))[0] == 1201
    assert await store.counts() == {State.CANCELLED: 2}
    found = await store.batch(batch.id)
    assert found is not None
    assert sum(found.counts.get(state, 0) for state in FINAL) == 2
