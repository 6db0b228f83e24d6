"""The cache's disk tier: one file a result, found by its recipe, for this process and any other, also after a restart.

A file is `MAGIC`, the length of the header, the header (JSON), the parts that the header speaks of, and a SHA-256 of
all that. It is written under another name and renamed, so it is there whole or not at all; what is damaged or of
another version all the same is removed and counts as absent. Nothing here raises for what stands on the disk or for a
disk that is full: a cache that does not work is slow, not wrong.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NamedTuple, TypeVar

from nodegraph.engine.cache import Entry
from nodegraph.engine.serializers import Serializer, UnknownSerializerError, UnwritableError, pack, unpack
from nodegraph.engine.spec import Json

log = logging.getLogger(__name__)
MAGIC: Final = b"nodegraph result 1\n"
SUFFIX: Final = ".result"
_RECIPE: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"([0-9a-f]{64})\.(\w+)")
_ROOM: Final = 0.9
"""Eviction goes on until this share of the budget is used, so that not every result needs one."""
_STALE: Final = 3600.0
"""Seconds after which a temporary file is taken for what a crash has left."""
T = TypeVar("T")


class DamagedError(ValueError):
    """A file that is not what was written."""


class _File(NamedTuple):
    used: float
    size: int
    path: str


class DiskCache(MutableMapping[str, Entry]):
    """Results by recipe in the files of `folder`, at most `budget` bytes; those used longest ago are evicted first.

    A value without a serializer, and a result that took less than `min_cost` seconds to make, is not stored: reading it
    would take longer. Threads and processes may share a folder; it is made when the first result is stored.
    """

    def __init__(
        self,
        folder: Path,
        *,
        budget: int = 4 << 30,
        serializers: Sequence[Serializer] = (),
        min_cost: float = 0.02,
    ) -> None:
        self.folder, self.budget, self.min_cost = Path(folder), budget, min_cost
        self.serializers = tuple(serializers)
        self._used: int | None = None
        self._lock = threading.Lock()
        self._warned = False

    def get(self, recipe: str, default: Entry | T | None = None) -> Entry | T | None:  # type: ignore[override]
        """Return an entry, or `default`."""
        path = self._path(recipe)
        try:
            data = b"" if path is None else path.read_bytes()
        except OSError:
            data = b""
        if path is None or not data:
            return default
        try:
            entry = self._decode(data)
        except UnknownSerializerError as error:  # another process may know it
            log.debug("result %s: %s", recipe, error)
            return default
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything on data that is not its own
            log.warning("removing the cached result %s: %s", path, error)
            self._remove(path)
            return default
        self._touch(path)
        return entry

    def __getitem__(self, recipe: str) -> Entry:
        entry = self.get(recipe)
        if entry is None:
            raise KeyError(recipe)
        return entry

    def __setitem__(self, recipe: str, entry: Entry) -> None:
        path = self._path(recipe)
        if path is None or entry.cost < self.min_cost:
            return
        try:
            data = self._encode(entry)
        except UnwritableError as error:
            log.debug("result %s is not stored: %s", recipe, error)
            return
        except Exception:
            log.exception("result %s cannot be stored", recipe)
            return
        if len(data) <= self.budget:
            self._write(path, data)

    def __delitem__(self, recipe: str) -> None:
        path = self._path(recipe)
        if path is None or not path.exists():
            raise KeyError(recipe)
        self._remove(path)

    def __contains__(self, recipe: object) -> bool:
        path = self._path(recipe) if isinstance(recipe, str) else None
        return path is not None and path.exists()

    def __iter__(self) -> Iterator[str]:
        return iter([Path(file.path).name.removesuffix(SUFFIX) for file in self._files()])

    def __len__(self) -> int:
        return len(self._files())

    def _path(self, recipe: str) -> Path | None:
        """Return where a result is kept; None: what is no recipe is not kept."""
        if not _RECIPE.fullmatch(recipe):
            return None
        return self.folder / recipe[:2] / f"{recipe}{SUFFIX}"

    def _encode(self, entry: Entry) -> bytes:
        parts: list[bytes] = []

        def add(data: bytes) -> int:
            parts.append(data)
            return len(parts) - 1

        values: dict[str, Json] = {}
        for name, value in entry.values.items():
            items = entry.items.get(name, ())
            # A list of results that are stored by themselves is stored as their names.
            by_name = bool(items) and all(self._has_item(item) for item in items)
            values[name] = {"items": list(items)} if by_name else pack(value, self.serializers, add)
        header = json.dumps(
            {
                "values": values, "cost": entry.cost, "type": entry.type,
                "items": {name: list(items) for name, items in entry.items.items()},
                "parts": [len(part) for part in parts],
            }
        ).encode()  # fmt: skip
        body = b"".join((MAGIC, len(header).to_bytes(8, "big"), header, *parts))
        return body + hashlib.sha256(body).digest()

    def _has_item(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        return match is not None and match[1] in self

    def _decode(self, data: bytes) -> Entry:
        start = len(MAGIC) + 8
        if not data.startswith(MAGIC):
            raise DamagedError("it was written by another version")
        if len(data) < start + 32 or hashlib.sha256(memoryview(data)[:-32]).digest() != data[-32:]:
            raise DamagedError("its checksum does not match")
        end = start + int.from_bytes(data[len(MAGIC) : start], "big")
        header = json.loads(data[start:end])
        edges = [end]
        for length in header["parts"]:
            edges.append(edges[-1] + length)
        values = {
            name: self._items(value["items"])
            if isinstance(value, dict) and "items" in value
            else unpack(value, self.serializers, lambda at: data[edges[at] : edges[at + 1]])
            for name, value in header["values"].items()
        }
        items = {name: tuple(names) for name, names in header["items"].items()}
        return Entry(values, header["cost"], items, header["type"])

    def _items(self, names: Sequence[str]) -> list[Any]:
        """Return the values of results that are stored by themselves."""
        found = []
        for name in names:
            recipe, _, output = name.partition(".")
            entry = self.get(recipe)
            if entry is None:
                raise DamagedError(f"its item {name} has been removed")
            found.append(entry.values[output])
        return found

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            if not self._warned:
                log.warning("results cannot be kept in %s: %s", self.folder, error)
            self._warned = True
            return
        with self._lock:
            self._used = self._scan() if self._used is None else self._used + len(data)
            if self._used > self.budget:
                self._used = self._evict()

    def _scan(self) -> int:
        return sum(file.size for file in self._files())

    def _evict(self) -> int:
        """Remove what was used longest ago; return the bytes that are left. Other processes' results count too."""
        files = sorted(self._files())
        used = sum(file.size for file in files)
        for file in files:
            if used <= self.budget * _ROOM:
                break
            self._remove(Path(file.path))
            used -= file.size
        return used

    def _files(self) -> list[_File]:
        """Return the results in the folder; sweep out what crashes have left."""
        found: list[_File] = []
        for path in self.folder.glob("??/*"):
            try:
                stat = path.stat()
            except OSError:  # another process was quicker
                continue
            if path.name.endswith(SUFFIX):
                found.append(_File(stat.st_mtime, stat.st_size, str(path)))
            elif path.name.endswith(".tmp") and time.time() - stat.st_mtime > _STALE:
                self._remove(path)
        return found

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s cannot be removed: %s", path, error)

    def _touch(self, path: Path) -> None:
        """Note the use of a result in its file's time, where other processes see it."""
        try:
            os.utime(path)
        except OSError:
            log.debug("%s went away while it was read", path)
