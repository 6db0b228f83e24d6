"""Putting jobs into the store."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from nodegraph.server.records import Batch, Job, State, Submission
from nodegraph.server.store import queries, rows
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.sqlite import Connection

Json = Any
INSERT: Final = f"INSERT INTO jobs ({rows.JOB}, key, words) VALUES ({', '.join('?' * 31)})"


def add(connection: Connection, user: str, submissions: Sequence[Submission], batch: str | None = None) -> list[Job]:
    """Queue jobs; those whose keys were used before are given as they are."""
    keys = [submission.key for submission in submissions if submission.key is not None]
    known = _known(connection, user, keys) if keys else {}
    item = _next_item(connection, user, batch) if batch is not None else None
    made, new, now = list[Job](), list[rows.Row](), time.time()
    seq, documents = sequence(connection), dict[bytes, str]()
    for submission in submissions:
        if submission.key is not None and submission.key in known:
            made.append(known[submission.key])
            continue
        if submission.document not in documents:
            documents[submission.document] = keep_document(connection, submission.document)
        seq += 1
        job = _job(user, submission, seq, documents[submission.document], batch, item, now)
        item = item + 1 if item is not None else None
        new.append(rows.job_row(job, submission.key, job_words(job)))
        made.append(job)
        if submission.key is not None:
            known[submission.key] = job
    connection.executemany(INSERT, new)
    if batch is not None:
        connection.execute("UPDATE batches SET total = total + ? WHERE id = ?", (len(new), batch))
    return made


def add_batch(
    connection: Connection, user: str, name: str, submissions: Sequence[Submission], key: str | None
) -> tuple[Batch, list[Job]]:
    """Queue jobs as a batch; with a key used before, give the batch of then and the jobs that are left of it."""
    if key is not None:
        known = queries.batch_by_key(connection, user, key)
        found = queries.batch(connection, known) if known is not None else None
        if found is not None:
            listed = connection.execute(f"SELECT {rows.JOB} FROM jobs WHERE batch = ? ORDER BY seq", (found.id,))
            return found, [rows.job(each) for each in listed]
    made = make_batch(connection, user, name, key)
    jobs = add(connection, user, submissions, made)
    batch = queries.batch(connection, made)
    if batch is None:
        raise StoreError(f"batch {made} was not made")
    return batch, jobs


def make_batch(connection: Connection, user: str, name: str, key: str | None = None, id: str | None = None) -> str:
    """Add an empty batch; return its id."""
    made = id or uuid4().hex
    connection.execute(
        "INSERT INTO batches (id, user, name, key, created, total) VALUES (?, ?, ?, ?, ?, 0)",
        (made, user, rows.clean(name), key, time.time()),
    )
    return made


def sequence(connection: Connection) -> int:
    """Return the highest number that a job ever had."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    return int(row[0]) if row else 0


def keep_document(connection: Connection, content: bytes) -> str:
    """Keep a workflow's text, once; return its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    if connection.execute("SELECT 1 FROM documents WHERE sha256 = ?", (sha256,)).fetchone() is None:
        connection.execute(
            "INSERT INTO documents (sha256, size, content, words) VALUES (?, ?, ?, ?)",
            (sha256, len(content), zlib.compress(content), rows.words(_prompts(content))),
        )
    return sha256


def job_words(job: Job) -> str:
    """Return what a search looks through for a job, beside its workflow's texts."""
    failure = job.failure.message if job.failure is not None else ""
    return rows.words([job.id, job.batch or "", job.name, *rows.strings(job.inputs), failure])


def _job(user: str, given: Submission, seq: int, document: str, batch: str | None, item: int | None, now: float) -> Job:
    return Job(
        id=uuid4().hex, seq=seq, user=user, state=State.QUEUED, document=document, client=given.client,
        inputs=dict(given.inputs), targets=tuple(given.targets), name=given.name, signature=given.signature,
        nodes=given.nodes, priority=given.priority, position=float(seq), batch=batch, index=item,
        retry_of=given.retry_of, created=now, timeout=given.timeout, webhook=given.webhook,
    )  # fmt: skip


def _known(connection: Connection, user: str, keys: Sequence[str]) -> dict[str, Job]:
    found = connection.execute(
        f"SELECT {rows.JOB}, key FROM jobs WHERE user = ? AND key IN (SELECT value FROM json_each(?))",
        (user, rows.dump(keys)),
    )
    return {row[-1]: rows.job(row[:-1]) for row in found}


def _next_item(connection: Connection, user: str, batch: str) -> int:
    row = connection.execute("SELECT total FROM batches WHERE id = ? AND user = ?", (batch, user)).fetchone()
    if row is None:
        raise StoreError(f"there is no batch {batch}")
    return int(row[0])


def _prompts(content: bytes) -> list[str]:
    """Return the texts among the parameters of a workflow's nodes, those of subgraphs included."""
    try:
        left = [json.loads(content)]
    except ValueError:
        return []
    found = list[str]()
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            for name, item in value.items():
                if name == "params":
                    found.extend(rows.strings(item))
                elif isinstance(item, Mapping | list):
                    left.append(item)
        elif isinstance(value, list):
            left.extend(value)
    return found
