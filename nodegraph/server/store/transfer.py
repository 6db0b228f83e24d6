"""Jobs as JSON, out of one store and into another."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodegraph.server.records import Failure, Job, NodeRun, State
from nodegraph.server.store import adding, rows
from nodegraph.server.store.errors import ImportedError
from nodegraph.server.store.kinds import Imported
from nodegraph.server.store.outbox import job_adapter
from nodegraph.server.store.queries import Where
from nodegraph.server.store.sqlite import Connection

Json = Any
FORMAT: Final = 1
AT_ONCE: Final = 200
PAGE_BYTES: Final = 4 * 2**20
"""Of workflows, after which a page of an export ends."""
_ID: Final = r"^[0-9a-f]{32}$"


class Exported(BaseModel):
    """A job as an export writes it; what only this store knows (place, document, device) is not taken over."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)

    format: Literal[1]
    id: str = Field(pattern=_ID)
    state: State
    workflow: dict[str, Json]
    client: str = Field("", max_length=200)
    inputs: dict[str, Json] = {}
    targets: tuple[str, ...] = ()
    name: str = Field("", max_length=1000)
    signature: str = Field("", max_length=200)
    nodes: int = Field(0, ge=0, le=2**31)
    priority: int = Field(0, ge=-(2**31), le=2**31)
    batch: str | None = Field(None, pattern=_ID)
    batch_name: str = Field("", max_length=1000)
    index: int | None = Field(None, ge=0, le=2**31)
    retry_of: str | None = Field(None, pattern=_ID)
    attempts: int = Field(0, ge=0, le=1000)
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    seconds: float = Field(0.0, ge=0)
    memory: dict[str, int] = {}
    failure: Failure | None = None
    answers: dict[str, Json] = {}
    values: dict[str, Json] = {}
    timeout: float | None = Field(None, gt=0)
    report: tuple[NodeRun, ...] = ()


def export(
    connection: Connection, user: str | None, states: Collection[State], after: int
) -> tuple[list[dict[str, Json]], int]:
    """Return some jobs as JSON, oldest first, and the number to go on after."""
    where = Where()
    where.add("jobs.seq > ?", after)
    where.add_given("jobs.user", user)
    where.add_states(states)
    columns = ", ".join(f"jobs.{name}" for name in rows.JOB.split(", "))
    found = connection.execute(
        f"SELECT {columns}, documents.content, documents.size, reports.content, batches.name FROM jobs "
        "JOIN documents ON documents.sha256 = jobs.document LEFT JOIN reports ON reports.job = jobs.seq "
        f"LEFT JOIN batches ON batches.id = jobs.batch WHERE {where} ORDER BY jobs.seq LIMIT ?",
        (*where.values, AT_ONCE),
    )
    items, size = list[dict[str, Json]](), 0
    for row in found:
        items.append(_item(connection, row))
        after, size = row[1], size + row[-3]
        if size > PAGE_BYTES:
            break
    return items, after


def check(items: Sequence[Mapping[str, Json]]) -> list[tuple[Exported, bytes]]:
    """Read what an export wrote; raise `ImportedError` that tells which item is wrong and how."""
    checked = list[tuple[Exported, bytes]]()
    for number, item in enumerate(items, 1):
        try:
            read = Exported.model_validate(item)
            text = json.dumps(read.workflow, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            checked.append((read, text.encode()))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ImportedError(f"job {number} of the import: {place}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise ImportedError(f"job {number} of the import: its workflow cannot be kept: {error}") from error
    return checked


def take_in(connection: Connection, user: str, items: Sequence[tuple[Exported, bytes]]) -> Imported:
    """Add the jobs that are not there yet."""
    history, skipped, queued, seq = 0, 0, list[Job](), adding.sequence(connection)
    for item, document in items:
        if connection.execute("SELECT 1 FROM jobs WHERE id = ?", (item.id,)).fetchone() is not None:
            skipped += 1
            continue
        seq += 1
        job = _job(connection, user, item, seq, adding.keep_document(connection, document))
        connection.execute(adding.INSERT, rows.job_row(job, None, adding.job_words(job)))
        if job.batch is not None:
            connection.execute("UPDATE batches SET total = total + 1 WHERE id = ?", (job.batch,))
        if item.report and job.state.final:
            connection.execute("INSERT INTO reports VALUES (?, ?)", (seq, rows.report_blob(item.report)))
        if job.state.final:
            history += 1
        else:
            queued.append(job)
    return Imported(history, tuple(queued), skipped)


def _item(connection: Connection, row: rows.Row) -> dict[str, Json]:
    job, (document, _, report, batch_name) = rows.job(row[:-4]), row[-4:]
    written = job_adapter().dump_python(job, mode="json", exclude={"seq", "position", "document", "webhook"})
    listed = connection.execute(f"SELECT {rows.OUTPUT} FROM outputs WHERE job = ? AND there ORDER BY seq", (job.id,))
    return {
        "format": FORMAT,
        **written,
        "batch_name": batch_name or "",
        "workflow": json.loads(zlib.decompress(document)),
        "report": [asdict(run) for run in rows.report_from(report)] if report else [],
        "outputs": [asdict(rows.output(each)) for each in listed],
    }


def _job(connection: Connection, user: str, item: Exported, seq: int, document: str) -> Job:
    """Return the job that an item becomes: as it was where it had ended, else one that was not begun."""
    now = time.time()
    batch = _batch(connection, user, item)
    job = Job(
        id=item.id, seq=seq, user=user, state=State.QUEUED, document=document, client=item.client, inputs=item.inputs,
        targets=item.targets, name=item.name, signature=item.signature, nodes=item.nodes, priority=item.priority,
        position=float(seq), batch=batch, index=item.index if batch else None, retry_of=item.retry_of,
        created=item.created or now, answers=item.answers, timeout=item.timeout,
    )  # fmt: skip
    if not item.state.final:
        return job
    return replace(
        job, state=item.state, attempts=item.attempts, started=item.started, ended=item.ended or now,
        seconds=item.seconds, memory=item.memory, failure=item.failure, values=item.values,
    )  # fmt: skip


def _batch(connection: Connection, user: str, item: Exported) -> str | None:
    """Find or make the batch of an item; None where it has none, or another user's."""
    if item.batch is None:
        return None
    row = connection.execute("SELECT user FROM batches WHERE id = ?", (item.batch,)).fetchone()
    if row is None:
        return adding.make_batch(connection, user, item.batch_name, id=item.batch)
    return item.batch if row[0] == user else None
