"""What is known of model files from earlier looks: what they are and their sha256, as long as they do not change."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

log = logging.getLogger(__name__)
FILE: Final = "models.db"
SCHEMA: Final = 1
TABLE: Final = """CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, identity TEXT NOT NULL, sha256 TEXT, reader TEXT, about TEXT
) WITHOUT ROWID"""
TOGETHER: Final = 200
"""Facts that are written at once; another process that writes never waits long."""
PATIENCE: Final = 5.0
"""Seconds to wait for another process that writes."""


class Index:
    """Facts by file, in a database in the cache folder; it can be thrown away, and where it cannot be used it is empty.

    A file is known by its path and its identity (size and time of the last change); `reader` tells what looked at it,
    as another version may see more. One thread at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._base: sqlite3.Connection | None = None
        self._waiting: list[tuple[str, str, Mapping[str, str]]] = []

    def __enter__(self) -> Index:
        """Open the database, anew where it is damaged."""
        for _ in range(2):
            try:
                self._base = self._open()
                return self
            except sqlite3.DatabaseError as error:
                self._give_up("cannot be used", error)
                if isinstance(error, sqlite3.OperationalError):
                    break
            except OSError as error:
                self._give_up("cannot be made", error)
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is not yet written, and close it."""
        self.flush()
        if self._base is not None:
            self._base.close()
            self._base = None

    def sha256(self, path: Path, identity: str) -> str | None:
        """Return a file's sha256 where it is known."""
        row = self._row("SELECT sha256 FROM files WHERE path = ? AND identity = ?", path, identity)
        return None if row is None else row[0]

    def about(self, path: Path, identity: str, reader: str) -> Any:
        """Return what a reader found in a file, as JSON, None where it has not looked."""
        row = self._row("SELECT about, reader FROM files WHERE path = ? AND identity = ?", path, identity)
        if row is None or row[0] is None or row[1] != reader:
            return None
        try:
            return json.loads(row[0])
        except ValueError:
            return None

    def put_sha256(self, path: Path, identity: str, sha256: str) -> None:
        """Remember a file's sha256, on the disk at once: working it out took long."""
        self._put(path, identity, sha256=sha256)
        self.flush()

    def put_about(self, path: Path, identity: str, reader: str, about: Any) -> None:
        """Remember what a reader found in a file."""
        self._put(path, identity, reader=reader, about=json.dumps(about))

    def flush(self) -> None:
        """Write what was put and is not on the disk yet."""
        waiting, self._waiting = self._waiting, []
        if self._base is None or not waiting:
            return
        try:
            self._base.execute("BEGIN IMMEDIATE")
            for path, identity, values in waiting:
                self._write(self._base, path, identity, values)
            self._base.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._give_up("cannot be written", error)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        try:
            (version,) = base.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA):
                base.execute("DROP TABLE IF EXISTS files")
            if version != SCHEMA:
                base.execute(TABLE)
                base.execute(f"PRAGMA user_version = {SCHEMA}")
            base.execute("SELECT sha256, reader, about FROM files LIMIT 1").fetchone()
        except BaseException:
            base.close()
            raise
        return base

    def _row(self, query: str, path: Path, identity: str) -> Any:
        key = _key(path)
        if any(waiting[0] == key for waiting in self._waiting):
            self.flush()
        if self._base is None:
            return None
        try:
            return self._base.execute(query, (key, identity)).fetchone()
        except sqlite3.DatabaseError as error:
            self._give_up("cannot be read", error)
            return None

    def _put(self, path: Path, identity: str, **values: str) -> None:
        self._waiting.append((_key(path), identity, values))
        if len(self._waiting) >= TOGETHER:
            self.flush()

    @staticmethod
    def _write(base: sqlite3.Connection, path: str, identity: str, values: Mapping[str, str]) -> None:
        """Add facts to those of the file as it is now; those of what it was before go."""
        names = ", ".join(values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        base.execute("DELETE FROM files WHERE path = ? AND identity <> ?", (path, identity))
        base.execute(
            f"INSERT INTO files (path, identity, {names}) VALUES (?, ?, {', '.join('?' * len(values))}) "
            f"ON CONFLICT (path) DO UPDATE SET {updates}",
            (path, identity, *values.values()),
        )

    def _give_up(self, what: str, error: Exception) -> None:
        log.warning("%s %s, what is found is not kept for next time: %s", self._path, what, error)
        if self._base is not None:
            self._base.close()
            self._base = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._path.unlink(missing_ok=True)  # damaged; where it is locked, or there is no room, it may be good


def _key(path: Path) -> str:
    """Return what names a file; one that is reached in several ways has one."""
    return str(path.resolve()).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
