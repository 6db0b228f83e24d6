"""Settings, sizes, checks and copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodegraph.server.store import rows
from nodegraph.server.store.kinds import Usage
from nodegraph.server.store.opening import copy
from nodegraph.server.store.sqlite import Connection

Json = Any


def get(connection: Connection, key: str) -> Json:
    """Return a setting."""
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return rows.load(row[0]) if row is not None else None


def put(connection: Connection, key: str, value: Json) -> None:
    """Keep a setting."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, rows.dump(value)))


def usage(connection: Connection, path: Path) -> Usage:
    """Count what there is."""
    jobs, batches, documents = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("jobs", "batches", "documents")
    )
    outputs, size = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM outputs WHERE there").fetchone()
    log = path.with_name(f"{path.name}-wal")
    return Usage(
        jobs=jobs,
        batches=batches,
        documents=documents,
        outputs=outputs,
        output_bytes=size,
        file_bytes=path.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
    )


def integrity(connection: Connection) -> list[str]:
    """Check every page, index and reference."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    problems = [text for text in found if text != "ok"]
    return problems + [
        f"a row of {table} refers to one of {parent} that is not there" for table, _, parent, _ in broken
    ]


def backup(connection: Connection, path: Path) -> None:
    """Write a copy."""
    copy(connection, path)
