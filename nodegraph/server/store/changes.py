"""What happens to jobs: each change is made only where the job is in the state that it leads on from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodegraph.server.records import MOST_ATTEMPTS, Failure, Job, NodeRun, Question, State
from nodegraph.server.store import outbox, queries, rows
from nodegraph.server.store.adding import sequence
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.sqlite import Connection

Json = Any
OPEN: Final = "state IN ('queued', 'running', 'waiting')"
"""As the index `jobs_queue` has it."""
CRASHED_TWICE: Final = Failure(
    code="crashed_twice",
    message="the process that ran the job died, and once more when it was run again; it is not tried a third time",
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended."""

    state: State
    seconds: float
    memory: Mapping[str, int]
    failure: Failure | None
    report: Sequence[NodeRun]
    values: Mapping[str, Json]


def claim(connection: Connection, id: str, device: str) -> Job | None:
    """Lead from queued to running."""
    return _update(
        connection,
        "state = 'running', attempts = attempts + 1, device = ?, started = ?",
        "id = ? AND state = 'queued'",
        (device, time.time(), id),
    )


def release(
    connection: Connection, id: str, counted: bool, failure: Failure | None = None, report: Sequence[NodeRun] = ()
) -> Job | None:
    """Lead from running back to queued, or to failed where it was the last attempt."""
    job = queries.job(connection, id)
    if job is None or job.state is not State.RUNNING:
        return None
    if counted and job.attempts >= MOST_ATTEMPTS:
        return finish(connection, id, Ending(State.FAILED, 0.0, {}, failure or CRASHED_TWICE, report, {}))
    taken = 0 if counted else 1
    return _update(
        connection,
        "state = 'queued', attempts = max(0, attempts - ?), device = NULL, started = NULL",
        "id = ?",
        (taken, id),
    )


def finish(connection: Connection, id: str, ending: Ending) -> Job | None:
    """Lead from any state that is not final to a final one, and put down whom to tell."""
    if not ending.state.final:
        raise StoreError(f"{ending.state} is no state that a job ends in")
    failure = ending.failure
    job = _update(
        connection,
        "state = ?, ended = max(?, coalesce(started, created)), seconds = ?, memory = ?, failure = ?, results = ?, "
        "questions = '[]', words = substr(words || ' ' || ?, 1, ?)",
        f"id = ? AND {OPEN}",
        (
            ending.state.value,
            time.time(),
            ending.seconds,
            rows.dump(dict(ending.memory)),
            None if failure is None else rows.dump(rows.failure_json(failure)),
            rows.dump(dict(ending.values)),
            "" if failure is None else rows.words([failure.code, failure.message]),
            2 * rows.WORDS,
            id,
        ),
    )
    if job is not None:
        _keep_report(connection, job, ending.report)
        if job.webhook is not None:
            outbox.write(connection, job)
    return job


def wait(connection: Connection, id: str, questions: Sequence[Question], report: Sequence[NodeRun]) -> Job | None:
    """Lead from running to waiting."""
    asked = rows.dump([rows.question_json(question) for question in questions])
    job = _update(
        connection,
        "state = 'waiting', questions = ?, attempts = max(0, attempts - 1), device = NULL",
        "id = ? AND state = 'running'",
        (asked, id),
    )
    if job is not None:
        _keep_report(connection, job, report)
    return job


def answer(connection: Connection, id: str, answers: Mapping[str, Json]) -> Job | None:
    """Lead from waiting to queued, in front of its priority's others."""
    job = queries.job(connection, id)
    if job is None or job.state is not State.WAITING:
        return None
    first = connection.execute(
        f"SELECT min(position) FROM jobs WHERE user = ? AND priority = ? AND {OPEN}", (job.user, job.priority)
    ).fetchone()[0]
    return _update(
        connection,
        "state = 'queued', answers = ?, questions = '[]', started = NULL, position = ?",
        "id = ?",
        (rows.dump({**job.answers, **answers}), first if first == job.position else first - 1.0, id),
    )


def recover(connection: Connection) -> list[Job]:
    """Release all that was running, counted."""
    running = connection.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY seq").fetchall()
    released = [release(connection, id, counted=True) for (id,) in running]
    return [job for job in released if job is not None]


def move(
    connection: Connection, id: str, priority: int | None, before: str | None, after: str | None, end: str | None
) -> tuple[Job | None, int]:
    """Give a job another place; return it, and 1 where the jobs beside it were renumbered for that."""
    if end not in (None, "first", "last"):
        raise StoreError(f"{end!r} is no end of the queue: it has first and last")
    job = _pending(connection, id)
    other = None
    if job is not None and (before or after):
        other = _pending(connection, before or after or "")
        if other is None or other.user != job.user or other.id == job.id:
            return None, 0
        priority = other.priority
    if job is None:
        return None, 0
    if priority is not None and priority != job.priority:
        job = _update(connection, "priority = ?", "id = ?", (priority, id)) or job
    if other is None and end is None:
        return job, 0
    beside = connection.execute(
        f"SELECT position, seq FROM jobs WHERE user = ? AND priority = ? AND seq != ? AND {OPEN} "
        "ORDER BY position, seq",
        (job.user, job.priority, job.seq),
    ).fetchall()
    if other is not None:
        place = beside.index((other.position, other.seq)) + (before is None)
    else:
        place = 0 if end == "first" else len(beside)
    return _place(connection, job, beside, place)


def _place(connection: Connection, job: Job, beside: list[rows.Row], place: int) -> tuple[Job | None, int]:
    """Put a job at a place among the others, below what a new job will get."""
    newest = float(sequence(connection))
    if not beside:
        return job, 0
    high = beside[place][0] if place < len(beside) else newest + 1.0
    low = beside[place - 1][0] if place else high - 2.0
    between = (low + high) / 2
    if low < between < high:
        return _update(connection, "position = ?", "id = ?", (between, job.id)), 0
    order = [seq for _, seq in beside]
    order.insert(place, job.seq)
    numbers = [(newest - len(order) + 1 + index, seq) for index, seq in enumerate(order)]
    connection.executemany("UPDATE jobs SET position = ? WHERE seq = ?", numbers)
    return queries.job(connection, job.id), 1


def _pending(connection: Connection, id: str) -> Job | None:
    job = queries.job(connection, id)
    return job if job is not None and job.state in (State.QUEUED, State.WAITING) else None


def _keep_report(connection: Connection, job: Job, report: Sequence[NodeRun]) -> None:
    if report:
        connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (job.seq, rows.report_blob(report)))


def _update(connection: Connection, change: str, condition: str, values: tuple[Any, ...]) -> Job | None:
    """Change the job that meets a condition; return it as it is now, None where there is none."""
    statement = f"UPDATE jobs SET {change} WHERE {condition} RETURNING {rows.JOB}"
    found = connection.execute(statement, values).fetchall()
    return rows.job(found[0]) if found else None
