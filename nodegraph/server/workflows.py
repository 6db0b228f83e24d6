"""Saved workflows: documents with names, of which no version that was saved is lost.

Each document is a file `workflows/NAME.json`, which may be copied, edited and kept by other programs. Its revisions lie
in `workflows/.revisions/NAME.json/`, one file each: `NUMBER-SHA256.json`, and `NUMBER-deleted.json` for a deletion. The
document itself is what counts: what another program wrote into it, or a process that died between the two, becomes a
revision the next time that it is changed here.

What an editor saves without being asked is a revision `NUMBER-SHA256-auto-SINCE.json`, which gives way to the next such
one for `AUTO_SECONDS` from its beginning: so it does not push out what somebody saved.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.files.paths import resolve, safe_name, shown_name, user_folder
from nodegraph.server.files.whole import PART, sweep, sync_folder, told_to_clients, write_whole
from nodegraph.server.settings import Settings

SUFFIX: Final = ".json"
REVISIONS: Final = ".revisions"
KEPT, KEPT_OF_DRAFT = 500, 20
"""Revisions of a workflow; the oldest give way."""
DRAFTS: Final = "drafts/"
"""What the names of workflows begin with that have not been given a name yet."""
AUTO_SECONDS: Final = 600.0
ANY: Final = "*"
_REVISION: Final = re.compile(r"(\d{8})-([0-9a-f]{64}|deleted)(?:-auto-(\d{1,12}))?\.json")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A saved workflow: `etag` is the SHA-256 of its text, `revision` counts how often it was saved."""

    name: str
    etag: str
    revision: int
    modified: float
    size: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Saved(Entry):
    """A saved workflow with its text, as it was given."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Revision:
    """A version of a workflow; `etag` None: it was deleted then."""

    number: int
    etag: str | None
    modified: float
    size: int
    since: int | None = None
    """When what was saved by itself began to be; None: somebody saved it."""

    @property
    def file(self) -> str:
        """Return the name of its file."""
        auto = "" if self.since is None else f"-auto-{self.since}"
        return f"{self.number:08}-{self.etag or 'deleted'}{auto}{SUFFIX}"


class Workflows:
    """Keeps the workflows of all users; changes to those of one user follow one another."""

    def __init__(self, settings: Settings) -> None:
        self._data = settings.data
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._known: dict[Path, tuple[int, int, str]] = {}
        self._swept: set[str] = set()
        self._began = time.time()

    async def list(self, user: str, *, deleted: bool = False, drafts: bool = False) -> tuple[Entry, ...]:
        """Return a user's workflows by name, or those that were deleted and can be restored; `drafts`: those alone."""
        found = await self._do(user, lambda shelf: tuple(shelf.entries(deleted)))
        return tuple(entry for entry in found if entry.name.startswith(DRAFTS) == drafts)

    async def read(self, user: str, name: str) -> Saved:
        """Return a workflow; raise `ApiError` 404 where there is none of that name."""
        return await self._do(user, lambda shelf: shelf.read(name))

    async def save(
        self, user: str, name: str, data: bytes, match: Collection[str] | None, *, auto: bool = False
    ) -> tuple[Entry, bool]:
        """Save a workflow; return it, and whether it is new. `match`: ETags of which it must have one (`*`: any, none:
        it must not be there); None does not ask. Raises `ApiError` 412 where it is another, with what it is now.

        `auto`: nobody asked for it, so it takes the place of what was saved so a few minutes before.
        """
        return await self._do(user, lambda shelf: shelf.save(name, data, match, auto=auto))

    async def delete(self, user: str, name: str, match: Collection[str] | None = None) -> str:
        """Delete a workflow, whose revisions stay, and return its name as lists have it.

        Raises `ApiError` 404, or 412 as `save` does.
        """
        return await self._do(user, lambda shelf: shelf.delete(name, match))

    async def revisions(self, user: str, name: str) -> tuple[Revision, ...]:
        """Return the revisions of a workflow, newest first; raise `ApiError` 404 where there never was one."""
        return await self._do(user, lambda shelf: tuple(reversed(shelf.revisions(name))))

    async def revision(self, user: str, name: str, number: int) -> bytes:
        """Return the text of a revision; raise `ApiError` 404 where there is none."""
        return await self._do(user, lambda shelf: shelf.revision(name, number))

    async def restore(self, user: str, name: str, number: int, match: Collection[str] | None = None) -> Entry:
        """Save a revision anew; raise as `revision` and `save` do."""
        entry, _ = await self._do(user, lambda shelf: shelf.save(name, shelf.revision(name, number), match))
        return entry

    async def _do(self, user: str, work: Callable[[_Shelf], T]) -> T:
        """Do something in the user's turn; it goes on to its end whether the caller waits for it or not."""
        return await asyncio.shield(self._in_turn(user, work))

    async def _in_turn(self, user: str, work: Callable[[_Shelf], T]) -> T:
        with told_to_clients():
            shelf = _Shelf(user_folder(self._data, user, "workflows"), self._known)
            async with self._locks[user]:
                if user not in self._swept:
                    self._swept.add(user)
                    await asyncio.to_thread(sweep, shelf.root, self._began)
                return await asyncio.to_thread(work, shelf)


class _Shelf:
    """The workflows below a folder, as they are at the moment; blocks while it reads and writes."""

    def __init__(self, root: Path, known: dict[Path, tuple[int, int, str]]) -> None:
        self.root, self._known = root, known

    def entries(self, deleted: bool) -> list[Entry]:
        base = self.root / REVISIONS if deleted else self.root
        entries = []
        for name in sorted(_documents(base, folders=deleted), key=lambda name: (name.casefold(), name)):
            with suppress(ApiError, OSError):  # it was removed meanwhile, or is a link that leaves
                if not deleted:
                    entries.append(self._entry(name))
                elif not self._path(name).is_file():
                    entries.append(self._deleted(name))
        return entries

    def read(self, name: str) -> Saved:
        path = self._path(name)
        try:
            data = path.read_bytes()
            modified = path.stat().st_mtime
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise not_found(f"workflow {shown_name(name)}") from error
        etag = hashlib.sha256(data).hexdigest()
        return Saved(_plain(name), etag, self._number(name, etag), modified, len(data), data=data)

    def save(self, name: str, data: bytes, match: Collection[str] | None, *, auto: bool = False) -> tuple[Entry, bool]:
        now = self._asked(name, match)
        if now is not None and now.data == data:
            if not auto:
                self._keep(name)
            return _bare(now), False
        write_whole(self._path(name), data)
        self._record(name, data, auto=auto)
        return _bare(self.read(name)), now is None

    def delete(self, name: str, match: Collection[str] | None) -> str:
        if self._asked(name, match) is None:
            raise not_found(f"workflow {shown_name(name)}")
        path = self._path(name)
        path.unlink()
        sync_folder(path.parent)
        self._record(name, None)
        return _plain(name)

    def revisions(self, name: str) -> list[Revision]:
        """Return the revisions from the oldest to the newest; one that only the document holds yet is among them."""
        found = self._recorded(name)
        with suppress(ApiError):
            now = self.read(name)
            if not found or found[-1].etag != now.etag:
                found.append(Revision(now.revision, now.etag, now.modified, now.size))
        if not found:
            raise not_found(f"workflow {shown_name(name)}")
        return found

    def revision(self, name: str, number: int) -> bytes:
        for revision in self.revisions(name):
            if revision.number == number and revision.etag is not None:
                path = self._folder(name) / revision.file
                data = path.read_bytes() if path.is_file() else self.read(name).data
                if hashlib.sha256(data).hexdigest() == revision.etag:
                    return data
        raise not_found(f"revision {number} of workflow {shown_name(name)}")

    def _entry(self, name: str) -> Entry:
        """Return what `read` tells; of a document that has not changed the ETag is known."""
        path = self._path(name)
        status = path.stat()
        changed, size, etag = self._known.get(path, (0, 0, ""))
        if (changed, size) != (status.st_mtime_ns, status.st_size):
            etag = self.read(name).etag
            self._known[path] = status.st_mtime_ns, status.st_size, etag
        return Entry(_plain(name), etag, self._number(name, etag), status.st_mtime, status.st_size)

    def _number(self, name: str, etag: str) -> int:
        """Return the number of the revision that a document is, or will be."""
        last = self._last(name)
        return 1 if last is None else last.number + (last.etag != etag)

    def _asked(self, name: str, match: Collection[str] | None) -> Saved | None:
        """Return the workflow as it is, having recorded it; raise `ApiError` 412 where it is not what is expected."""
        try:
            now = self.read(name)
        except ApiError:
            now = None
        if match is not None and not _fits(now, match):
            raise _changed(name, now, match)
        if now is not None and self._is_unrecorded(name, now):
            self._record(name, now.data)
        return now

    def _is_unrecorded(self, name: str, now: Saved) -> bool:
        last = self._last(name)
        return last is None or last.etag != now.etag

    def _record(self, name: str, data: bytes | None, *, auto: bool = False) -> None:
        folder, found, now = self._folder(name), self._recorded(name), time.time()
        number = found[-1].number + 1 if found else 1
        etag = None if data is None else hashlib.sha256(data).hexdigest()
        before = found[-1].since if auto and found else None
        replaced = before is not None and 0 <= now - before < AUTO_SECONDS
        since = (before if replaced else int(now)) if auto else None
        write_whole(folder / Revision(number, etag, now, len(data or b""), since).file, data or b"")
        kept = KEPT_OF_DRAFT if _plain(name).startswith(DRAFTS) else KEPT
        for old in [*found[: max(0, len(found) + 1 - kept)], *(found[-1:] if replaced else ())]:
            (folder / old.file).unlink(missing_ok=True)

    def _keep(self, name: str) -> None:
        """Have the newest revision stay, though it was saved by itself: somebody has saved it now."""
        found, folder = self._recorded(name), self._folder(name)
        if found and found[-1].since is not None:
            (folder / found[-1].file).replace(folder / replace(found[-1], since=None).file)
            sync_folder(folder)

    def _recorded(self, name: str) -> list[Revision]:
        folder = self._folder(name)
        found = []
        for file in _files(folder):
            if match := _REVISION.fullmatch(file):
                status = (folder / file).stat()
                etag = None if match[2] == "deleted" else match[2]
                since = None if match[3] is None else int(match[3])
                found.append(Revision(int(match[1]), etag, status.st_mtime, status.st_size, since))
        return found

    def _last(self, name: str) -> Revision | None:
        """Return the newest revision; only names are read, as lists ask for it of each workflow."""
        folder = self._folder(name)
        files = [file for file in _files(folder) if _REVISION.fullmatch(file)]
        if not files:
            return None
        match = _REVISION.fullmatch(files[-1])
        return None if match is None else Revision(int(match[1]), None if match[2] == "deleted" else match[2], 0.0, 0)

    def _deleted(self, name: str) -> Entry:
        revisions = self._recorded(name)
        kept = [revision for revision in revisions if revision.etag is not None]
        if not kept:
            raise not_found(f"workflow {shown_name(name)}")
        last = replace(kept[-1], modified=revisions[-1].modified)
        return Entry(name, str(last.etag), last.number, last.modified, last.size, deleted=True)

    def _path(self, name: str) -> Path:
        return resolve(self.root, _plain(name) + SUFFIX)

    def _folder(self, name: str) -> Path:
        return self.root / REVISIONS / f"{_plain(name)}{SUFFIX}"


def _plain(name: str) -> str:
    """Return a workflow's name: safe, without the suffix; no folder may look like a document."""
    plain = safe_name(f"{name.removesuffix(SUFFIX)}{SUFFIX}").removesuffix(SUFFIX)
    if any(part.endswith(SUFFIX) for part in plain.split("/")):
        raise ApiError(400, "bad_name", f"{shown_name(name)} is no name for a workflow: it has {SUFFIX!r} within")
    return plain


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []


def _documents(base: Path, *, folders: bool) -> list[str]:
    """Return the names of what ends like a document below a folder: files, or the folders of revisions."""
    found = []
    for folder, inner, files in os.walk(base):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in inner if folders else files:
            if name.endswith(SUFFIX) and not name.startswith((".", PART)):
                found.append((Path(folder) / name).relative_to(base).as_posix().removesuffix(SUFFIX))
    return [name for name in found if _is_name(name)]


def _is_name(name: str) -> bool:
    try:
        return _plain(name) == name
    except ApiError:
        return False


def _bare(saved: Saved) -> Entry:
    return Entry(saved.name, saved.etag, saved.revision, saved.modified, saved.size)


def _fits(now: Saved | None, match: Collection[str]) -> bool:
    if now is None:
        return not match
    return ANY in match or now.etag in match


def _changed(name: str, now: Saved | None, match: Collection[str]) -> ApiError:
    problem: dict[str, Any] = {"code": "changed", "field": "If-Match" if match else "If-None-Match"}
    problem["got"] = ", ".join(sorted(match)) or ANY
    headers: dict[str, str] = {}
    if now is None:
        message = f"there is no workflow {shown_name(name)}: it was deleted, or another name was meant"
    elif not match:
        message = f"there is a workflow {shown_name(name)} already, at revision {now.revision}"
    else:
        message = f"workflow {shown_name(name)} was saved by somebody else: it is at revision {now.revision} now"
    if now is not None:
        problem["expected"] = now.etag
        headers = {"ETag": f'"{now.etag}"', "Nodegraph-Revision": str(now.revision)}
    return ApiError(412, "changed", message, problems=[{**problem, "message": message}], headers=headers)
