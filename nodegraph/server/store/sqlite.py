"""Connections to the store's file, and what SQLite's errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from nodegraph.server.store.errors import StoreBusyError, StoreError, StoreFullError

Connection = sqlite3.Connection

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""A quota and a limit on file sizes come as failed writes, a full disk under shared memory as `SHMSIZE`."""
WITHOUT_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def connect(path: Path, *, busy_seconds: float, read_only: bool = False, closed: bool = False) -> Connection:
    """Open a connection that commits only when told to; its transactions are begun by hand.

    Write-ahead logging lets readers go on beside the writer; `synchronous=FULL` puts each commit on the disk.
    `closed`: nobody has the file open, so that reading it needs no log beside it.
    """
    address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}{'&immutable=1' if closed else ''}"
    connection = sqlite3.connect(
        address, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
            connection.execute("PRAGMA cache_size = -8192")
    except BaseException:
        connection.close()
        raise
    return connection


def code(error: BaseException) -> int:
    """Return SQLite's extended result code of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0)


def damaged(error: BaseException) -> bool:
    """Tell whether an error means that the file is no sound database."""
    return code(error) & 0xFF in DAMAGED


def busy(error: BaseException) -> bool:
    """Tell whether an error means that another connection holds the file."""
    return code(error) & 0xFF in BUSY


def no_room(error: BaseException) -> bool:
    """Tell whether an error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in WITHOUT_ROOM
    return code(error) in NO_ROOM or code(error) & 0xFF == sqlite3.SQLITE_FULL


def translate(error: BaseException, path: Path) -> BaseException:
    """Return the store's error for SQLite's or the system's; errors of other kinds as they are."""
    if isinstance(error, StoreError) or not isinstance(error, sqlite3.Error | OSError):
        return error
    if no_room(error):
        return StoreFullError("the disk that holds the store is full: make room, then try again")
    if busy(error):
        return StoreBusyError(f"the store is held by {holder(path)}: close that, then try again")
    if damaged(error):
        return StoreError("the store's file is damaged: stop the server and start it again, it is put aside then")
    return StoreError(f"the store failed: {error}")


def holder(path: Path) -> str:
    """Say in words which other process has locks on the store, as far as the system tells."""
    wanted = set()
    for name in (path, path.with_name(f"{path.name}-shm")):
        try:
            wanted.add(name.stat().st_ino)
        except OSError:
            continue
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    found = {int(pid) for pid, inode in map(_lock, lines) if inode in wanted and pid.isdecimal()}
    others = sorted(found - {0, os.getpid()})
    return ", ".join(f"process {pid}{_command(pid)}" for pid in others) or "another process"


def _lock(line: str) -> tuple[str, int]:
    """Read process and inode out of a line of `/proc/locks`: `1: POSIX ADVISORY WRITE 4711 fd:01:1234 0 EOF`."""
    parts = line.split()
    inode = parts[5].rpartition(":")[2] if len(parts) > 5 else ""
    return (parts[4], int(inode)) if inode.isdecimal() else ("", 0)


def _command(pid: int) -> str:
    try:
        return f" ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8', errors='replace').strip()})"
    except OSError:
        return ""
