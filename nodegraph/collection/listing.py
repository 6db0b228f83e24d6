"""What is in a collection: each file of weights with what it is; damaged ones and ones that others hide as well."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from nodegraph.collection.identify import Identity, identify
from nodegraph.collection.index import Index
from nodegraph.collection.kinds import KINDS, OTHERS, PICKLED, WEIGHTS
from nodegraph.collection.places import Place
from nodegraph.diffusion.registry import families as known_families
from nodegraph.diffusion.weights.errors import PickledFileError, WeightsError
from nodegraph.diffusion.weights.source import CHUNK, digest
from nodegraph.engine.folders import FolderError, Folders

Tick = Callable[[str, int, int], object]
"""Told the file that is being read, the bytes of it that were read and all its bytes; what it raises stops it."""
PICKLE: Final = "pickled: it is not read, as that could run code"


@dataclass(frozen=True)
class Entry:
    """A file of a collection, or a diffusers folder.

    `identity` is what it is (None where `problem` tells why that cannot be said); `convertible` one that is pickled.
    `hidden_by` is the file that is found in its place, as it has the same name; `sha256` is None where it was never
    worked out.
    """

    kind: str
    name: str
    path: Path
    origin: str
    size: int
    modified: float
    identity: Identity | None = None
    problem: str | None = None
    convertible: bool = False
    hidden_by: Path | None = None
    sha256: str | None = None

    @property
    def misplaced(self) -> bool:
        """Tell whether its kind of files belongs in another folder."""
        belongs = None if self.identity is None else self.identity.kind
        return belongs is not None and self.kind in KINDS and belongs != self.kind and not self._fits(belongs)

    def _fits(self, belongs: str) -> bool:
        """Tell whether loaders of this folder's kind take it all the same."""
        return (self.kind, belongs) in {("checkpoints", "diffusers"), ("vae", "vae_approx")}


class Listing:
    """Looks through folders; what was found before is taken from the index."""

    def __init__(self, places: Sequence[Place], index: Index, kinds: Collection[str] | None = None) -> None:
        self._places = [place for place in places if kinds is None or place.kind in kinds]
        self._index = index

    def entries(self) -> Iterator[Entry]:
        """Give the files by kind, and within a kind as they are found: what hides another comes before it."""
        kinds = [*KINDS, *{place.kind: None for place in self._places if place.kind not in KINDS}]
        for kind in kinds:
            yield from self._of_kind(kind)
        self._index.flush()

    def hashed(self, entry: Entry, tick: Tick) -> str | None:
        """Return the sha256 of an entry, read if it is not known; None for a file that cannot be read."""
        identity = self._identity(entry.path)
        known = self._index.sha256(entry.path, identity)
        if known is not None:
            return known
        read = 0

        def check() -> None:
            nonlocal read
            read = min(read + CHUNK, entry.size)
            tick(entry.name, read, entry.size)

        try:
            files = [entry.path] if entry.path.is_file() else sorted(entry.path.rglob("*.safetensors"))
            found = digest(files, check) if files else None
        except OSError:
            return None
        if found is not None and self._identity(entry.path) == identity:  # and not written to meanwhile
            self._index.put_sha256(entry.path, identity, found)
        return found

    def _of_kind(self, kind: str) -> Iterator[Entry]:
        known = KINDS.get(kind)
        ends = () if known is None else known.extensions
        listed = (*ends, *PICKLED, *OTHERS) if ends == WEIGHTS else ends
        bundles = {kind: known.bundle} if known is not None and known.bundle else {}
        first: dict[str, Path] = {}
        seen: set[object] = set()
        for place in (place for place in self._places if place.kind == kind):
            if (key := _key(place.path)) in seen:
                continue
            seen.add(key)
            folders = Folders({kind: (place.path,)}, {kind: listed}, bundles)
            for name in folders.names(kind):
                entry = self._entry(place, name, place.path / name)
                if entry is not None:
                    hider = entry.path if entry.convertible else first.setdefault(name, entry.path)
                    yield entry if hider == entry.path else replace(entry, hidden_by=hider)

    def _entry(self, place: Place, name: str, path: Path) -> Entry | None:
        try:
            status = path.stat()
            size = status.st_size if path.is_file() else sum(file.stat().st_size for file in _files(path))
            identity = self._identity(path)
        except (OSError, FolderError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return Entry(place.kind, name, path, place.origin, 0, 0.0, problem=f"cannot be read: {why}")
        sha256 = self._index.sha256(path, identity)  # before anything is put that would have to be written first
        told, problem, pickled = self._about(path, identity)
        return Entry(
            *(place.kind, name, path, place.origin, size, status.st_mtime),
            identity=told,
            problem=problem,
            convertible=pickled,
            sha256=sha256,
        )

    def _about(self, path: Path, identity: str) -> tuple[Identity | None, str | None, bool]:
        """Return what a file is or what is wrong with it, and whether it is pickled."""
        known = self._index.about(path, identity, self._reader)
        if isinstance(known, dict):
            told = known.get("identity")
            return None if told is None else Identity(**told), known.get("problem"), known.get("pickled", False)
        told, problem, pickled = _looked(path)
        about: dict[str, Any] = {"identity": told and asdict(told), "problem": problem, "pickled": pickled}
        self._index.put_about(path, identity, self._reader, about)
        return told, problem, pickled

    @cached_property
    def _reader(self) -> str:
        """What would see the same in a file: this version with these families."""
        names = ",".join(sorted(family.name for family in known_families()))
        return f"{version('nodegraph')} {hashlib.sha256(names.encode()).hexdigest()[:12]}"

    def _identity(self, path: Path) -> str:
        return Folders({"any": (path.parent,)}, bundles={"any": "model_index.json"}).identity("any", path.name)


def _looked(path: Path) -> tuple[Identity | None, str | None, bool]:
    try:
        if path.is_file() and path.suffix.lower() not in WEIGHTS and path.suffix.lower() not in (*PICKLED, *OTHERS):
            return None, None, False
        return identify(path), None, False
    except PickledFileError:
        return None, PICKLE, True
    except WeightsError as error:
        return None, error.problem, False
    except OSError as error:
        return None, f"cannot be read: {error.strerror}", False


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file())


def _key(folder: Path) -> object:
    try:
        status = folder.stat()
    except OSError:
        return folder
    return (status.st_dev, status.st_ino) if status.st_ino else folder.resolve()
