"""Taking jobs out of the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from nodegraph.server.records import FINAL, Output, State
from nodegraph.server.store import rows
from nodegraph.server.store.queries import Where
from nodegraph.server.store.sqlite import Connection

AT_ONCE: Final = 500
"""Jobs that one step of `prune` removes at most, so that other writes come in between."""
_AMONG: Final = "IN (SELECT value FROM json_each(?))"


def delete(connection: Connection, ids: Collection[str]) -> list[Output]:
    """Remove those of the jobs that are final, and the workflows and batches that have none left."""
    where = Where()
    where.add(f"id {_AMONG}", rows.dump(list(ids)))
    where.add_states(FINAL)
    found = connection.execute(f"SELECT seq, id, document, batch FROM jobs WHERE {where}", where.values).fetchall()
    numbers, names, documents, batches = (rows.dump(sorted(set(filter(None, column)))) for column in _columns(found))
    listed = connection.execute(f"SELECT {rows.OUTPUT} FROM outputs WHERE job {_AMONG} ORDER BY seq", (names,))
    freed = [rows.output(row) for row in listed]
    connection.execute(f"DELETE FROM jobs WHERE seq {_AMONG}", (numbers,))
    connection.execute(
        f"DELETE FROM documents WHERE sha256 {_AMONG} "
        "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.document = documents.sha256)",
        (documents,),
    )
    connection.execute(
        f"DELETE FROM batches WHERE id {_AMONG} AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = batches.id)",
        (batches,),
    )
    return freed


def prune(
    connection: Connection, keep: int | None, before: float | None, user: str | None, states: Collection[State]
) -> tuple[int, list[Output]]:
    """Remove some of the final jobs that are beyond the newest `keep` and ended before a time; return how many."""
    where = Where()
    where.add_given("user", user)
    where.add_states(FINAL.intersection(states) if states else FINAL)
    if states and not FINAL.intersection(states):
        return 0, []
    if keep is not None:
        statement = f"SELECT seq FROM jobs WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?"
        row = connection.execute(statement, (*where.values, max(keep, 0))).fetchone()
        if row is None:
            return 0, []
        where.add("seq <= ?", row[0])
    if before is not None:
        where.add("ended < ?", before)
    statement = f"SELECT id FROM jobs WHERE {where} ORDER BY seq LIMIT ?"
    ids = [id for (id,) in connection.execute(statement, (*where.values, AT_ONCE))]
    return len(ids), delete(connection, ids)


def _columns(found: list[rows.Row]) -> list[tuple[object, ...]]:
    return list(zip(*found, strict=True)) if found else [()] * 4
