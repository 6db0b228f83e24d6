"""Opening the store's file: made new, put aside where it is damaged, migrated where it is old."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodegraph.server import faults
from nodegraph.server.store.errors import NewerStoreError, StoreBusyError, StoreError, StoreFullError
from nodegraph.server.store.kinds import Examined
from nodegraph.server.store.schema import APPLICATION, STEPS, Step
from nodegraph.server.store.sqlite import Connection, busy, connect, damaged, translate

FILE: Final = "nodegraph.db"
CHECKED_BYTES: Final = 64 * 2**20
"""A file up to this size is checked page by page when it is opened (5 ms a MB); `Store.integrity` checks any."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is ready, and the connection that writes to it."""

    path: Path
    connection: Connection
    version: int
    notice: str | None = None


class _DamagedError(Exception):
    """The file is no sound database; the text says what was found."""


def open_file(path: Path, *, busy_seconds: float = 5.0, steps: Sequence[Step] = STEPS) -> Opened:
    """Open or make the store; `steps` are the versions of its tables that are known."""
    notice = None
    try:
        _make(path)
        try:
            connection = _open_sound(path, busy_seconds)
        except _DamagedError as error:
            aside = put_aside(path)
            notice = (
                f"the store was damaged ({error}): it lies beside the new one as {aside.name}; the queue, the history "
                f"and the users begin anew"
            )
            _make(path)
            connection = _open_sound(path, busy_seconds)
    except (_DamagedError, sqlite3.Error, OSError) as error:
        found = translate(error, path)
        told = isinstance(found, StoreFullError | StoreBusyError)
        raise found if told else StoreError(f"{path} cannot be used: {error}") from error
    try:
        return Opened(path, connection, _bring_up(connection, path, steps), notice)
    except BaseException as error:
        connection.close()
        raise translate(error, path) from error


def put_aside(path: Path) -> Path:
    """Rename a damaged file and what belongs to it; return its new name.

    The log goes first: one that stayed behind alone would be taken for the new file's.
    """
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in ("-wal", "-shm", ""):
        faults.point("store.aside")
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


def examine(path: Path) -> Examined:
    """Look at a store's file, also while a server uses it, and change nothing."""
    if not path.exists():
        return Examined(0, len(STEPS), "", ())
    closed = not path.with_name(f"{path.name}-wal").exists()
    try:
        with contextlib.closing(connect(path, busy_seconds=1.0, read_only=True, closed=closed)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            writer = (
                connection.execute("SELECT value FROM meta WHERE key = 'written_by'").fetchone() if version else None
            )
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return Examined(0, len(STEPS), "", (str(translate(error, path)) if busy(error) else str(error),))
    sound = tuple(text for text in problems if text != "ok")
    return Examined(version, len(STEPS), writer[0] if writer else "", sound)


def copy(connection: Connection, target: Path) -> None:
    """Write a copy of what a connection sees; it appears under its name whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as into:
            connection.backup(into)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        faults.point("store.copy")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on the disk, where the system can."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make(path: Path) -> None:
    """Make the folder and an empty file that only its owner may read: it holds prompts and hashes of tokens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        sync_folder(path.parent)


def _open_sound(path: Path, busy_seconds: float) -> Connection:
    try:
        connection = connect(path, busy_seconds=busy_seconds)
    except sqlite3.DatabaseError as error:
        if damaged(error):
            raise _DamagedError(str(error)) from error
        raise
    try:
        small = path.stat().st_size <= CHECKED_BYTES
        found = connection.execute("PRAGMA quick_check(1)" if small else "SELECT 'ok' FROM sqlite_master").fetchone()
        if found and found[0] != "ok":
            raise _DamagedError(str(found[0]).splitlines()[-1])
        connection.execute("BEGIN IMMEDIATE")  # is it ours to write to?
        connection.execute("ROLLBACK")
    except BaseException as error:
        connection.close()
        if damaged(error):
            raise _DamagedError(str(error)) from error
        raise
    return connection


def _bring_up(connection: Connection, path: Path, steps: Sequence[Step]) -> int:
    """Lead the tables to the newest version; return it."""
    found = _version(connection, path, len(steps))
    if 0 < found < len(steps):
        copy(connection, _free(path.parent / "backups", f"{path.stem}-schema-{found}"))
    if found < len(steps):
        faults.point("store.migrate.before")
        _migrate(connection, path, steps)
        faults.point("store.migrate.after")
    connection.execute("PRAGMA foreign_keys = ON")
    return len(steps)


def _version(connection: Connection, path: Path, newest: int) -> int:
    application, found = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != APPLICATION and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StoreError(f"{path} is a database, but none of nodegraph's: choose another data folder")
    if found > newest:
        row = connection.execute("SELECT value FROM meta WHERE key = 'written_by'").fetchone()
        writer = f"nodegraph {row[0]}" if row else "a newer nodegraph"
        raise NewerStoreError(
            f"{path} was written by {writer} (schema {found}), this is nodegraph {_release()} (schema {newest}): "
            f"install that version again, or choose another data folder; backups of older schemas lie in "
            f"{path.parent / 'backups'}"
        )
    return int(found)


def _migrate(connection: Connection, path: Path, steps: Sequence[Step]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection, path, len(steps)) :]:
            for statement in step:
                connection.execute(statement)
        if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
            raise StoreError(f"{path}: the migration left {len(broken)} rows without what they refer to; undone")
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('written_by', ?)", (_release(),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
        raise


def _free(folder: Path, stem: str) -> Path:
    number = 1
    while (folder / f"{stem}-{number}.db").exists():
        number += 1
    return folder / f"{stem}-{number}.db"


def _release() -> str:
    return importlib.metadata.version("nodegraph")
