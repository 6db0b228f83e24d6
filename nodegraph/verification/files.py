"""Finds the files that a picture was made with: by name, and where that leads to something else, by content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegraph.collection.index import Index
from nodegraph.engine.folders import CONFINED, FolderError, Folders

BRIEF = 12
"""Digits of a sha256 that are shown where the whole of it says no more."""


@dataclass(frozen=True)
class Found:
    """What became of the files of a record."""

    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Those that are not there, neither by name nor by content, as `kind/name (sha256 ...)`."""


class Finder:
    """Looks for files in folders. `check` is called while it reads, and may raise.

    A file is read once, and not at all where `index` knows its sha256; what is found is kept there.
    """

    def __init__(
        self, folders: Folders, index: Index, check: Callable[[], object], tell: Callable[[str], object]
    ) -> None:
        self._folders, self._index, self._check, self._tell = folders, index, check, tell

    def lay_out(self, files: Mapping[str, str], sizes: Mapping[str, int], overlay: Path) -> Found:
        """Put what has another name now into `overlay`, as `kind/name` of old, and tell what was found."""
        notes, missing = [], []
        for key, digest in files.items():
            kind, _, name = key.partition("/")
            path = self._named(kind, name)
            if path is not None and self._digest(kind, name) == digest:
                continue
            other = self._with_content(kind, digest, sizes.get(key))
            if other is not None:
                _put(self._folders.path(kind, other), overlay / kind / name, copy=kind in CONFINED)
                why = "no file has that name" if path is None else "the file of that name has other content"
                notes.append(f"{key}: {why}, {kind}/{other} has the same content and was taken")
            elif path is None:
                missing.append(f"{key} (sha256 {digest[:BRIEF]}...)")
        return Found(tuple(notes), tuple(missing))

    def _named(self, kind: str, name: str) -> Path | None:
        try:
            return self._folders.path(kind, name, hint=False)
        except FolderError:
            return None

    def _with_content(self, kind: str, digest: str, size: int | None) -> str | None:
        """Return the name of a file of these bytes; of another size (None: unknown) it need not be read."""
        try:
            names = self._folders.names(kind)
        except FolderError:
            return None
        fitting = [name for name in names if size is None or size_of(self._folders.path(kind, name)) == size]
        known = next((name for name in fitting if self._known(kind, name) == digest), None)
        if known is not None or not fitting:
            return known
        self._tell(f"looking among the {kind} for sha256 {digest[:BRIEF]}...")
        return next((name for name in fitting if self._digest(kind, name) == digest), None)

    def _known(self, kind: str, name: str) -> str | None:
        """Return a file's sha256 where it is known without reading it."""
        try:
            return self._index.sha256(self._folders.path(kind, name), self._folders.identity(kind, name))
        except (OSError, FolderError):
            return None

    def _digest(self, kind: str, name: str) -> str:
        """Return what a record tells of a file; an empty text where it cannot be read."""
        from nodegraph.diffusion.weights.source import digest

        known = self._known(kind, name)
        if known is not None:
            return known
        try:
            path, before = self._folders.path(kind, name), self._folders.identity(kind, name)
            found = digest(weights(path), self._check)
            if self._folders.identity(kind, name) == before and kind not in CONFINED:  # pictures come and go
                self._index.put_sha256(path, before, found)
            return found
        except (OSError, FolderError):
            return ""


def weights(path: Path) -> list[Path]:
    """Return the files that a file, or a folder that counts as one, is told by."""
    return sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]


def size_of(path: Path) -> int:
    """Return the bytes of these files; -1 where one cannot be looked at."""
    try:
        return sum(file.stat().st_size for file in weights(path))
    except OSError:
        return -1


def _put(source: Path, target: Path, *, copy: bool) -> None:
    """Have `target` lead to `source`: by a link, else by a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        shutil.copyfile(source, target)
        return
    try:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    except OSError:  # a system where only administrators make links
        if source.is_dir():
            shutil.copytree(source, target)
            return
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
