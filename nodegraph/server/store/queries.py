"""Looking jobs and batches up."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from nodegraph.server.records import Batch, Job, NodeRun, State
from nodegraph.server.store import rows
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.kinds import Page
from nodegraph.server.store.sqlite import Connection

RARE: Final = frozenset({State.RUNNING, State.WAITING})
"""States of so few jobs that an index finds them faster than a walk from the newest."""


class Where:
    """Conditions that are joined by `and`, with their values.

    A `+` before a column keeps SQLite from using an index of it, where another one leads to fewer rows: it counts none.
    """

    def __init__(self) -> None:
        self._conditions, self.values = ["1"], list[Any]()

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition."""
        self._conditions.append(condition)
        self.values.extend(values)

    def add_given(self, column: str, value: object | None) -> None:
        """Ask for a column's value, where one is given."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def add_states(self, states: Collection[State]) -> None:
        """Ask for one of the states, where some are given."""
        if states:
            column = "state" if RARE.issuperset(states) else "+state"
            self.add(f"{column} IN ({', '.join('?' * len(states))})", *(State(state).value for state in states))

    def __str__(self) -> str:
        """Return the conditions as SQL."""
        return " AND ".join(self._conditions)


def job(connection: Connection, id: str, user: str | None = None) -> Job | None:
    """Return a job, of this user where one is given."""
    row = connection.execute(f"SELECT {rows.JOB} FROM jobs WHERE id = ?", (id,)).fetchone()
    found = rows.job(row) if row is not None else None
    return found if found is not None and user in (None, found.user) else None


def by_key(connection: Connection, user: str, key: str) -> Job | None:
    """Return the job of an idempotency key."""
    row = connection.execute(f"SELECT {rows.JOB} FROM jobs WHERE user = ? AND key = ?", (user, key)).fetchone()
    return rows.job(row) if row is not None else None


def jobs(
    connection: Connection,
    user: str | None,
    states: Collection[State],
    batch: str | None,
    text: str,
    cursor: str | None,
    limit: int,
) -> Page[Job]:
    """List jobs, newest first."""
    where = Where()
    where.add_given("+user" if batch is not None or (states and RARE.issuperset(states)) else "user", user)
    where.add_given("batch", batch)
    where.add_states(states)
    for word in rows.clean(text).casefold().split()[:16]:
        where.add(
            "(instr(words, ?) OR document IN (SELECT sha256 FROM documents WHERE instr(documents.words, ?)))",
            word,
            word,
        )
    found, after = page(connection, "jobs", rows.JOB, where, cursor, limit)
    return Page(tuple(map(rows.job, found)), after)


def page(
    connection: Connection, table: str, columns: str, where: Where, cursor: str | None, limit: int
) -> tuple[list[rows.Row], str | None]:
    """Return a page's rows, whose second column is `seq`, and the cursor of the next page."""
    where.add("seq < ?", seq) if (seq := rows.cursor_seq(cursor)) is not None else None
    limit = rows.page_limit(limit)
    statement = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY seq DESC LIMIT ?"
    found = connection.execute(statement, (*where.values, limit + 1)).fetchall()
    return found[:limit], str(found[limit - 1][1]) if len(found) > limit else None


def document(connection: Connection, sha256: str) -> bytes:
    """Return a workflow's text."""
    row = connection.execute("SELECT content FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None:
        raise StoreError(f"there is no workflow {sha256[:64]}")
    return zlib.decompress(row[0])


def report(connection: Connection, id: str) -> tuple[NodeRun, ...]:
    """Return what became of a job's nodes."""
    statement = "SELECT content FROM reports JOIN jobs ON jobs.seq = reports.job WHERE jobs.id = ?"
    row = connection.execute(statement, (id,)).fetchone()
    return rows.report_from(row[0]) if row is not None else ()


def counts(connection: Connection, user: str | None) -> Mapping[State, int]:
    """Count jobs by state."""
    where = Where()
    where.add_given("+user", user)
    found = connection.execute(f"SELECT state, count(*) FROM jobs WHERE {where} GROUP BY state", where.values)
    return {State(state): count for state, count in found}


def pending(connection: Connection) -> list[Job]:
    """Return the jobs that are queued or wait, in the order of their users' queues."""
    found = connection.execute(
        f"SELECT {rows.JOB} FROM jobs WHERE state IN ('queued', 'waiting') ORDER BY user, priority DESC, position, seq"
    )
    return [rows.job(row) for row in found]


_BATCH = "id, seq, user, name, created, total"


def batch(connection: Connection, id: str, user: str | None = None) -> Batch | None:
    """Return a batch, of this user where one is given."""
    where = Where()
    where.add("id = ?", id)
    where.add_given("user", user)
    found = connection.execute(f"SELECT {_BATCH} FROM batches WHERE {where}", where.values).fetchall()
    return next(iter(_with_counts(connection, found)), None)


def batch_by_key(connection: Connection, user: str, key: str) -> str | None:
    """Return the id of the batch of an idempotency key."""
    row = connection.execute("SELECT id FROM batches WHERE user = ? AND key = ?", (user, key)).fetchone()
    return row[0] if row is not None else None


def batches(connection: Connection, user: str | None, cursor: str | None, limit: int) -> Page[Batch]:
    """List batches, newest first."""
    where = Where()
    where.add_given("user", user)
    found, after = page(connection, "batches", _BATCH, where, cursor, limit)
    return Page(tuple(_with_counts(connection, found)), after)


def _with_counts(connection: Connection, found: list[rows.Row]) -> list[Batch]:
    counted = connection.execute(
        "SELECT batch, state, count(*) FROM jobs WHERE batch IN (SELECT value FROM json_each(?)) GROUP BY batch, state",
        (rows.dump([row[0] for row in found]),),
    )
    states: dict[str, dict[State, int]] = {}
    for id, state, count in counted:
        states.setdefault(id, {})[State(state)] = count
    names = _BATCH.split(", ")
    return [Batch(**dict(zip(names, row, strict=True)), counts=states.get(row[0], {})) for row in found]
