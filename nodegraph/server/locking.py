"""The lock on the data folder: one server at a time, whoever else comes is told which."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from nodegraph.engine.errors import NodegraphError

LOCK = "lock"


class LockedError(NodegraphError):
    """Another process has the folder; `pid` is 0 where it is not told."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{folder} is in use by {who}: stop it first, or choose another folder with --data")


class FolderLock:
    """An exclusive lock on a folder; the system lifts it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, -1

    def __enter__(self) -> Self:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)  # prompts and pictures are nobody else's
        self._file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            _lock(self._file)
        except OSError:
            pid = _read_pid(self._file)
            os.close(self._file)
            raise LockedError(self._folder, pid) from None
        os.ftruncate(self._file, 0)
        _write(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._file, 0)  # the file stays: removing it would let two others lock two files
        os.close(self._file)


def holder(folder: Path) -> int | None:
    """Return the process that has the folder (0: not told), None where nobody has."""
    if not (folder / LOCK).exists():
        return None
    try:
        with FolderLock(folder):
            return None
    except LockedError as error:
        return error.pid


def _write(file: int) -> None:
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, str(os.getpid()).encode())


def _read_pid(file: int) -> int:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        return int(os.read(file, 20) or b"0")
    except (OSError, ValueError):
        return 0


if sys.platform == "win32":

    def _lock(file: int) -> None:
        import msvcrt

        os.lseek(file, 64, os.SEEK_SET)  # beyond the number, which others read
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: int) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
