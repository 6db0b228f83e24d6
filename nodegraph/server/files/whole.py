"""Files that are there whole or not at all, and what the disk says against them in words for a client."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from nodegraph.server import faults
from nodegraph.server.errors import ApiError

PART: Final = ".part-"
"""How the names of files begin that are not whole yet; nothing that begins with a dot is listed or served."""
STALE: Final = 3600.0
"""Seconds after which a part is one that a process has left behind."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TAKEN: Final = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def part_of(folder: Path) -> Path:
    """Return a path for a file that shall get another name in this folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{PART}{token_hex(8)}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file durably; what it replaces stays until the new one is there whole."""
    part = part_of(path.parent)
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        faults.point("files.replace.before")
        part.replace(path)
        faults.point("files.replace.after")
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def name_whole(part: Path, path: Path) -> None:
    """Give a synced part its name durably; raise FileExistsError where that is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    faults.point("files.name.before")
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():  # a file system without hard links: the name is free as far as can be told
            raise FileExistsError(errno.EEXIST, "the name is taken") from error
        part.replace(path)
    faults.point("files.name.after")
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; systems that open no folders have nothing to sync there."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sweep(root: Path, before: float | None = None) -> None:
    """Remove the parts below a folder that a process has left behind: those last written `before` a time.

    A server that has the folder to itself gives the time of its own start; without one an hour is waited.
    """
    limit = time.time() - STALE if before is None else before
    for folder, _, files in os.walk(root):
        for name in files:
            path = Path(folder) / name
            with suppress(OSError):
                if name.startswith(PART) and path.lstat().st_mtime < limit:
                    path.unlink()


@contextmanager
def told_to_clients() -> Iterator[None]:
    """Turn what the disk refuses into an answer: no room (507), no access (500), a name that is taken (409)."""
    try:
        yield
    except (ConnectionError, TimeoutError):  # the client's doing, or a child's; not the disk's
        raise
    except OSError as error:
        why = error.strerror or type(error).__name__
        if error.errno in _FULL:
            raise ApiError(507, "disk_full", "there is no room on the server's disk") from error
        if error.errno in _TAKEN:
            raise ApiError(
                409, "name_taken", "a file has the name of a folder here, or a folder that of a file"
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise ApiError(400, "bad_name", "the name is too long for the server's disk") from error
        raise ApiError(500, "not_writable", f"the server cannot read or write its files: {why}") from error
