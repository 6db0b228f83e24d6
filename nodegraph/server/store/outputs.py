"""The files that jobs wrote: a row is reserved first, settled when the file is in its place."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from nodegraph.server.records import Output
from nodegraph.server.store import rows
from nodegraph.server.store.changes import OPEN
from nodegraph.server.store.kinds import Page
from nodegraph.server.store.queries import Where, page
from nodegraph.server.store.sqlite import Connection


def reserve(connection: Connection, given: Output) -> Output:
    """Add the row of an output that is on its way, or find the one that (job, node, ordinal) has."""
    place = (given.job, given.node, given.ordinal)
    statement = f"SELECT {rows.OUTPUT} FROM outputs WHERE job = ? AND node = ? AND ordinal = ?"
    found = connection.execute(statement, place).fetchone()
    if found is None:
        named = {"id": uuid4().hex, "created": time.time(), **_given(given)}
        columns, values = ", ".join(named), ", ".join(f":{name}" for name in named)
        connection.execute(f"INSERT INTO outputs ({columns}, there) VALUES ({values}, 0)", named)
        found = connection.execute(statement, place).fetchone()
    return rows.output(found)


def settle(
    connection: Connection, id: str, name: str, size: int, width: int | None, height: int | None, media: str | None
) -> Output | None:
    """Tell that the file is in its place; a row that held its name told of a file that is gone, and goes too."""
    settled = _update(
        connection,
        "name = ?, size = ?, width = ?, height = ?, media = coalesce(?, media), there = 1",
        (name, size, width, height, media, id),
    )
    if settled is not None:
        stale = "DELETE FROM outputs WHERE user = ? AND kind = ? AND name = ? AND id <> ? AND there"
        connection.execute(stale, (settled.user, settled.kind, settled.name, id))
    return settled


def rename(connection: Connection, id: str, name: str) -> Output | None:
    """Give an output another name."""
    return _update(connection, "name = ?", (name, id))


def output(connection: Connection, id: str, user: str | None = None) -> Output | None:
    """Return an output, of this user where one is given."""
    row = connection.execute(f"SELECT {rows.OUTPUT} FROM outputs WHERE id = ?", (id,)).fetchone()
    found = rows.output(row) if row is not None else None
    return found if found is not None and user in (None, found.user) else None


def outputs(
    connection: Connection,
    user: str | None,
    job: str | None,
    node: str | None,
    kind: str | None,
    before: float | None,
    cursor: str | None,
    limit: int,
    ended: bool,
) -> Page[Output]:
    """List the outputs that are in their places, newest first."""
    where = Where()
    where.add("there")
    for column, value in (("user" if job is None else "+user", user), ("job", job), ("node", node), ("kind", kind)):
        where.add_given(column, value)
    if before is not None:
        where.add("created < ?", before)
    if ended:
        where.add(f"job NOT IN (SELECT id FROM jobs WHERE {OPEN})")
    found, after = page(connection, "outputs", rows.OUTPUT, where, cursor, limit)
    return Page(tuple(map(rows.output, found)), after)


def unsettled(connection: Connection) -> list[Output]:
    """Return the outputs that are on their way."""
    found = connection.execute(f"SELECT {rows.OUTPUT} FROM outputs WHERE NOT there ORDER BY seq")
    return [rows.output(row) for row in found]


def delete(connection: Connection, ids: Collection[str]) -> int:
    """Remove rows."""
    statement = "DELETE FROM outputs WHERE id IN (SELECT value FROM json_each(?))"
    return connection.execute(statement, (rows.dump(list(ids)),)).rowcount


def _given(output: Output) -> dict[str, Any]:
    names = ("job", "user", "node", "ordinal", "name", "kind", "media", "size", "width", "height")
    return {name: getattr(output, name) for name in names}


def _update(connection: Connection, change: str, values: tuple[Any, ...]) -> Output | None:
    found = connection.execute(f"UPDATE outputs SET {change} WHERE id = ? RETURNING {rows.OUTPUT}", values).fetchall()
    return rows.output(found[0]) if found else None
