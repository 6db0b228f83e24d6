"""Webhooks that are owed."""

from __future__ import annotations

import time
from functools import cache
from typing import Final
from uuid import uuid4

from pydantic import TypeAdapter

from nodegraph.server.records import Job
from nodegraph.server.store.kinds import Webhook
from nodegraph.server.store.sqlite import Connection

DAY: Final = 86_400.0


@cache
def job_adapter() -> TypeAdapter[Job]:
    """Return what writes jobs as JSON and reads them."""
    return TypeAdapter(Job)


def write(connection: Connection, job: Job) -> None:
    """Put down that the webhook of a job that ended is to be called."""
    now = time.time()
    text = job_adapter().dump_json(job, ensure_ascii=True).decode("ascii")
    connection.execute(
        "INSERT INTO webhooks (id, url, job, attempts, created, due) VALUES (?, ?, ?, 0, ?, ?)",
        (uuid4().hex, job.webhook, text, now, now),
    )


def due(connection: Connection, now: float, limit: int) -> list[Webhook]:
    """Return the calls to make now. One that seems to be due in more than a day is: the clock was set back."""
    found = connection.execute(
        "SELECT id, url, job, attempts, created FROM webhooks WHERE due <= ? OR due > ? ORDER BY due, seq LIMIT ?",
        (now, now + DAY, limit),
    )
    return [
        Webhook(id, url, job_adapter().validate_json(job), attempts, created)
        for id, url, job, attempts, created in found
    ]


def done(connection: Connection, id: str) -> None:
    """Strike a call off."""
    connection.execute("DELETE FROM webhooks WHERE id = ?", (id,))


def failed(connection: Connection, id: str, next_at: float) -> None:
    """Count a failed try."""
    connection.execute("UPDATE webhooks SET attempts = attempts + 1, due = ? WHERE id = ?", (next_at, id))
