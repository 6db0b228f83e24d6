"""Files put in their places: whole or not at all, durably, and never over somebody else's."""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from nodegraph.server import faults
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.files.paths import resolve, shown_name

_NUMBERED = re.compile(r"(?P<stem>.+)_\d+_(?P<suffix>\.\w+)")
_COUNTED = re.compile(r"(?P<stem>.+)_(?P<number>\d+)_?\.\w+")
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
MOST_FOLDERS, MOST_STEMS = 256, 50_000
"""Whose numbers are remembered; they are read from the disk again otherwise."""


def place_of(root: Path, name: str) -> Path:
    """Return the path of a file below `root`; raise ValueError where the name, or a link on its way, leads out.

    Unlike what `resolve` gives to readers, it is the name itself even where that is a link.
    """
    try:
        if "\\" in name:
            raise not_found(name)
        resolve(root, name)
    except ApiError as error:
        raise ValueError(f"{shown_name(name)} is no name of a file below its folder") from error
    path = root.resolve() / PurePosixPath(name)
    return path.parent.resolve() / path.name


class Names:
    """Numbers files: `PREFIX_00012_.png`, counting on from what a folder holds. Any thread may ask."""

    def __init__(self) -> None:
        self._last: dict[Path, dict[str, int]] = {}
        self._lock = threading.Lock()

    def next(self, root: Path, name: str, *, taken: bool = False) -> str:
        """Return the name that a file staged as `name` shall have; one without a number keeps its name unless `taken`.

        Raise FileNotFoundError where `root` is not there, ValueError for a name that leads out of it.
        """
        path = place_of(root, name)
        if not root.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is not there")
        match = _NUMBERED.fullmatch(path.name)
        if match is None and not taken and not path.exists():
            return name
        stem, suffix = (match["stem"], match["suffix"]) if match else (path.stem, path.suffix)
        with self._lock:
            counts = self._last.get(path.parent)
            if len(self._last) > MOST_FOLDERS or len(counts or ()) > MOST_STEMS:
                self._last.clear()
                counts = None
            if counts is None:
                counts = self._last[path.parent] = _numbers(path.parent)
            counts[stem.casefold()] = number = counts.get(stem.casefold(), 0) + 1
        return str(PurePosixPath(name).with_name(f"{stem}_{number:05}_{suffix}"))


def _numbers(folder: Path) -> dict[str, int]:
    """Return the highest number of each stem; a folder that is not there has none."""
    found: dict[str, int] = {}
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return found
    for name in names:
        match = _COUNTED.fullmatch(name)
        if match is not None:
            stem = match["stem"].casefold()
            found[stem] = max(found.get(stem, 0), int(match["number"]))
    return found


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():  # systems that open no folders have nothing to sync there
            return
        raise
    try:
        os.fsync(number)
    finally:
        os.close(number)


def put(source: Path, root: Path, name: str, part: str, *, replace: bool) -> Path:
    """Put a synced file below `root`, where it may share its contents with `source`; the folder is not synced yet.

    `part` is a name of its own for a copy, which is needed where the folder is on another file system. Raise
    FileExistsError where the name is taken, unless it is one's own to `replace`.
    """
    target = place_of(root, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    faults.point("publish.place.before")
    try:
        _take(source, target, replace)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(part)
        try:
            shutil.copyfile(source, copy)
            sync(copy)
            _take(copy, target, replace)
        finally:
            copy.unlink(missing_ok=True)
    faults.point("publish.place.after")
    return target


def _take(source: Path, target: Path, replace: bool) -> None:
    if replace:
        # The source keeps its name, so that a copy of the old file is not what another attempt would find.
        source.replace(target)
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():  # a file system without hard links: the name is free as far as can be told
            raise FileExistsError(errno.EEXIST, "the name is taken") from error
        source.rename(target)


def is_placed(target: Path, size: int, staged: Iterable[Path]) -> bool:
    """Tell whether a file came to `target` from a staging folder, whose files are `staged`, before the process died."""
    try:
        found = target.lstat()
    except OSError:
        return False
    sizes = []
    for path in staged:
        there = path.lstat()
        if (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino):
            return True
        if there.st_dev != found.st_dev and filecmp.cmp(path, target, shallow=False):
            return True  # a copy
        sizes.append(there.st_size)
    # Without hard links the staged file was moved away.
    return found.st_size == size and size not in sizes and found.st_nlink == 1
