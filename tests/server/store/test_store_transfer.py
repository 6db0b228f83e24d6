"""Jobs out of one store and into another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.records import Failure, Job, NodeRun, Output, Question, State, Submission
from nodegraph.server.store import transfer
from nodegraph.server.store.errors import ImportedError
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


async def filled(store: Store, submit: Submit) -> list[Job]:
    """Fill a store with a job in each state; return them."""
    _, jobs = await store.add_batch(
        "owner", "All states", [submit(f"job {n}", inputs={"seed": 2**63 + n}) for n in range(6)]
    )
    running, waiting, done, failed, cancelled = jobs[1:]
    await store.claim(running.id, "cpu")
    await store.claim(waiting.id, "cpu")
    await store.wait(waiting.id, [Question(node="g", question="?", choices=(1, 2))])
    await store.answer(waiting.id, {"g": 1})
    report = [NodeRun(node="prompt", type="faults.Text", state="finished", seconds=1.5, memory={"cpu": 2})]
    await store.claim(done.id, "cpu")
    await store.finish(done.id, State.DONE, seconds=2.0, memory={"cpu": 3}, report=report, values={"n": [1]})
    await store.reserve_output(Output(id="", seq=0, job=done.id, user="owner", node="s", ordinal=0, name="a.png"))
    await store.finish(failed.id, State.FAILED, failure=Failure(code="node_failed", message="why", node="prompt"))
    await store.finish(cancelled.id, State.CANCELLED)
    return [job for id in jobs if (job := await store.job(id.id)) is not None]


async def exported(store: Store, *states: State) -> list[dict[str, Any]]:
    """Return an export as it comes back from a file."""
    return [json.loads(json.dumps(item)) async for item in store.export_jobs("owner", states)]


async def test_an_export_brings_history_back_and_queues_the_rest(store: Store, submit: Submit, tmp_path: Path) -> None:
    jobs = await filled(store, submit)
    items = await exported(store)
    assert [item["id"] for item in items] == [job.id for job in jobs]
    other = await Store.open(tmp_path / "other")
    await other.add("anna", [submit() for _ in range(3)])
    result = await other.import_jobs("anna", items)
    assert (result.history, result.skipped) == (3, 0)
    assert [job.id for job in result.queued] == [job.id for job in jobs[:3]]
    for job in jobs[3:]:
        found = await other.job(job.id)
        assert found is not None
        device = replace(job, device=None, user="anna", seq=found.seq, position=found.position)
        assert found == device
        assert await other.report(job.id) == await store.report(job.id)
        assert await other.document(found.document) == await store.document(job.document)
    waiting = await other.job(jobs[2].id)
    assert waiting is not None
    assert (waiting.state, waiting.answers, waiting.attempts) == (State.QUEUED, {"g": 1}, 0)
    batch = await other.batch(jobs[0].batch or "")
    assert batch is not None
    assert (batch.name, batch.user, batch.total) == ("All states", "anna", 6)
    assert [job.id for job in await other.pending()][3:] == [job.id for job in jobs[:3]]
    again = await other.import_jobs("anna", items)
    assert (again.history, again.queued, again.skipped) == (0, (), 6)
    assert await other.integrity() == []
    await other.close()


async def test_an_export_shows_some_states_of_one_user(store: Store, submit: Submit) -> None:
    jobs = await filled(store, submit)
    await store.add("anna", [submit()])
    assert [item["id"] for item in await exported(store, State.DONE)] == [jobs[3].id]
    assert len(await exported(store)) == 6


async def test_an_export_of_many_jobs_holds_each_once(store: Store, submit: Submit) -> None:
    jobs = await store.add("owner", [submit() for _ in range(450)])
    assert [item["id"] for item in await exported(store)] == [job.id for job in jobs]


async def test_an_export_of_long_workflows_holds_few_of_them_at_once(store: Store, submit: Submit) -> None:
    long = [submit(f"{n} {'x' * 3 * 2**20}") for n in range(5)]
    jobs = await store.add("owner", [*long, submit(), submit()])
    pages, after = list[list[str]](), 0
    while (page := await store._read(transfer.export, "owner", (), after))[0]:
        items, after = page
        pages.append([item["id"] for item in items])
    assert [len(page) for page in pages] == [2, 2, 3]
    assert [id for page in pages for id in page] == [job.id for job in jobs]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": 2}, "format"),
        ({"id": "../../etc/passwd"}, "id"),
        ({"state": "elsewhere"}, "state"),
        ({"workflow": "text"}, "workflow"),
        ({"workflow": {"a": float("nan")}}, "workflow"),
        ({"workflow": {"a": "\ud800"}}, "workflow"),
        ({"seconds": -1}, "seconds"),
        ({"priority": 10**30}, "priority"),
        ({"nodes": "many"}, "nodes"),
        ({"failure": {"code": 1}}, "failure"),
        ({"report": [{"node": "a"}]}, "report"),
        ({"name": "x" * 2000}, "name"),
        ({"created": float("inf")}, "created"),
    ],
)
async def test_what_no_export_wrote_is_refused_whole(
    store: Store, submit: Submit, tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    await filled(store, submit)
    items = await exported(store)
    other = await Store.open(tmp_path / "other")
    with pytest.raises(ImportedError, match=rf"job 2 of the import: .*{place}"):
        await other.import_jobs("owner", [items[0], {**items[1], **change}])
    with pytest.raises(ImportedError, match="job 1"):
        await other.import_jobs("owner", [{}])
    assert await other.counts() == {}
    await other.close()


async def test_an_import_does_not_enter_another_users_batch(store: Store, submit: Submit) -> None:
    jobs = await filled(store, submit)
    items = await exported(store)
    new = {**items[0], "id": "0" * 32}
    (job,) = (await store.import_jobs("anna", [new])).queued
    assert (job.batch, job.index) == (None, None)
    batch = await store.batch(jobs[0].batch or "")
    assert batch is not None
    assert batch.total == 6
