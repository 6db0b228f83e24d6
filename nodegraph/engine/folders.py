"""Folders of files that parameters name: checkpoints, LoRAs, pictures to read."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from nodegraph.engine.errors import NodegraphError
from nodegraph.engine.nearest import nearest

CONFINED: Final = frozenset({"input", "output", "temp"})
"""Kinds of files that strangers name and send: a link there leads no further than its folder."""
LONGEST: Final = 255
"""Bytes of a file's own name; file systems take no more."""
LONGEST_PATH: Final = 1024
"""Bytes of a name with its folders: with its root before it, systems take little more."""


class FolderError(NodegraphError):
    """A name that leads to no file of its kind; `nearest` is a name that does."""

    def __init__(self, message: str, near: str | None = None) -> None:
        self.message, self.nearest = message, near
        super().__init__(f"{message} (did you mean {near!r}?)" if near else message)


class Folders:
    """The files of each kind, found below its root folders; of two files with one name the first root's counts.

    Names are relative to their root and written with `/` on every system; what is given with `\\` is understood. A name
    never leads out of its root by itself, though a link within may, as models are kept elsewhere; not so for the kinds
    in `CONFINED`. `bundles` names, by kind, the file that makes its folder count as one file, such as
    `model_index.json`; `advice`, by the ending of files that cannot be read, what to do about one: a text with its
    `{path}`. Nothing is read before it is asked for.
    """

    def __init__(
        self,
        roots: Mapping[str, Sequence[Path]],
        extensions: Mapping[str, Sequence[str]] | None = None,
        bundles: Mapping[str, str] | None = None,
        advice: Mapping[str, str] | None = None,
    ) -> None:
        self._bundles, self._advice = dict(bundles or {}), dict(advice or {})
        self._roots = {kind: tuple(Path(root) for root in paths) for kind, paths in roots.items()}
        given = extensions or {}
        self._extensions = {kind: tuple(end.casefold() for end in ends) for kind, ends in given.items()}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of files that have folders."""
        return tuple(self._roots)

    def placed(self, roots: Mapping[str, Sequence[Path]]) -> Folders:
        """Return these folders with other roots for some of the kinds."""
        return Folders({**self._roots, **roots}, self._extensions, self._bundles, self._advice)

    def roots(self, kind: str) -> tuple[Path, ...]:
        """Return the folders of a kind, in the order in which they are searched."""
        try:
            return self._roots[kind]
        except KeyError:
            kinds = ", ".join(map(repr, sorted(self._roots))) or "none"
            raise FolderError(f"there are no folders of the kind {kind!r}; the kinds are {kinds}") from None

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all files of a kind, sorted."""
        ends = self._extensions.get(kind)
        bundle = self._bundles.get(kind)
        found = {
            name
            for root in self.roots(kind)
            for name, whole in _walk(root, bundle, confined=kind in CONFINED)
            if whole or not ends or _ends(name, ends)
        }
        return tuple(sorted(found, key=lambda name: (name.casefold(), name)))

    def path(self, kind: str, name: str, *, hint: bool = True) -> Path:
        """Return the file that a name leads to, or raise `FolderError`, which tells the nearest name on `hint`."""
        plain = self.plain(name)
        ends = self._extensions.get(kind)
        bundle = self._bundles.get(kind)
        for root in self.roots(kind):
            path = root / plain
            if kind in CONFINED and not _inside(root, path):
                continue
            if path.is_file() and (not ends or _ends(plain, ends)):
                return path
            if bundle is not None and (path / bundle).is_file():
                return path
        if not hint:
            raise FolderError(f"no file {plain!r} among the {kind}")
        self._refuse_other_ending(kind, plain)
        names = self.names(kind)
        roots = self.roots(kind)
        where = ", ".join(str(root) for root in [root for root in roots if root.is_dir()] or roots) or "no folder"
        many = f"{len(names)} files of this kind are there"
        what = many if len(names) > 1 else f"there is only {names[0]!r}" if names else "there is no file of this kind"
        raise FolderError(f"no file {plain!r} among the {kind} in {where}; {what}", nearest(plain, names))

    def _refuse_other_ending(self, kind: str, plain: str) -> None:
        """Raise `FolderError` where a file is there that is of no kind to be read, and say what to do about it."""
        ends = " or ".join(end for end in self._extensions.get(kind, ()) if end.startswith("."))
        paths = [root / plain for root in self.roots(kind)] if ends and kind not in CONFINED else []
        for path in filter(Path.is_file, paths):
            advice = self._advice.get(path.suffix.casefold(), "").format(path=shlex.quote(str(path)))
            raise FolderError(f"{str(path)!r} is there, but the {kind} that can be read end in {ends}{advice}")

    def plain(self, name: str) -> str:
        """Return a name as it stands on the wire: relative, with `/`; raise `FolderError` where it leads elsewhere."""
        path = PurePosixPath(name.replace("\\", "/"))
        text = str(path)
        if path.is_absolute() or ".." in path.parts or text == "." or "\0" in text or re.match("[A-Za-z]:", text):
            raise FolderError(f"{name!r} is not a name below a folder, such as 'sd15/model.safetensors'")
        if any(len(part.encode(errors="replace")) > LONGEST for part in path.parts):
            raise FolderError(f"{name[:40]!r}... is not a name of a file: at most {LONGEST} bytes fit")
        if len(text.encode(errors="replace")) > LONGEST_PATH:
            raise FolderError(f"{name[:40]!r}... is not a name of a file: at most {LONGEST_PATH} bytes with folders")
        return text

    def identity(self, kind: str, name: str) -> str:
        """Return what tells a file's content from another's without reading it: size and time of its last change.

        Of a folder that counts as one file, it is that of each file in it.
        """
        path = self.path(kind, name)
        if not path.is_dir():
            return _identity(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return ",".join(f"{file.relative_to(path).as_posix()}={_identity(file)}" for file in files)


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def _ends(name: str, ends: tuple[str, ...]) -> bool:
    return name.casefold().endswith(ends)


def _inside(root: Path, path: Path) -> bool:
    """Tell whether a file is in its folder, links followed; `root` itself may be a link."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return False


def _walk(root: Path, bundle: str | None = None, *, confined: bool = False) -> Iterator[tuple[str, bool]]:
    """Give the names of the files below a folder, links followed once, hidden ones left out.

    A folder that holds a file called `bundle` is given itself, with yes, in place of what is in it. `confined` leaves
    out what a link leads out to.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        place = _place(Path(folder))
        if place is None or place in seen or (confined and not _inside(root, Path(folder))):
            folders.clear()
            continue
        seen.add(place)
        if bundle in files and folder != str(root):
            folders.clear()
            yield Path(folder).relative_to(root).as_posix(), True
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(folder) / name
            if not name.startswith(".") and not (confined and path.is_symlink() and not _inside(root, path)):
                yield path.relative_to(root).as_posix(), False


def _place(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from all others, None where it was removed meanwhile."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
