"""Files that users send for their workflows to load: known by their content, under names that mislead nobody."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import os
import time
from collections.abc import AsyncIterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from nodegraph import resources
from nodegraph.engine.folders import FolderError, Folders
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.files.paths import resolve, safe_name, shown_name, tame_name, user_folder
from nodegraph.server.files.serving import BY_SUFFIX, PICTURES, TEXTS, media_of
from nodegraph.server.files.thumbnails import Thumbnails
from nodegraph.server.files.whole import name_whole, part_of, sweep, told_to_clients
from nodegraph.server.host import Host
from nodegraph.server.settings import Settings

CHUNK: Final = 2**20
NAMESAKES: Final = 1000
"""Files of one name with other contents, before a further one is refused."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that workflows may load; `own` ones are the user's, who may remove them."""

    name: str
    size: int
    modified: float
    media: str
    own: bool


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that has come in whole, under a name of its own."""

    part: Path
    size: int
    sha256: str


class Inputs:
    """The folders of input files: each user's own, those of the settings, and what comes with nodegraph."""

    def __init__(self, settings: Settings, host: Host) -> None:
        self._settings, self._host = settings, host
        self._thumbnails = Thumbnails(settings.data / "thumbnails" / "inputs", host)
        self._swept: set[Path] = set()
        self._began = time.time()

    def folder(self, user: str) -> Path:
        """Return the folder of a user's own files."""
        return user_folder(self._settings.data, user, "input")

    def folders(self, user: str) -> tuple[Path, ...]:
        """Return the folders in which a user's workflows find files, the first counting where names are the same."""
        return (self.folder(user), *self._settings.input, resources.workflows())

    async def list(self, user: str) -> tuple[InputFile, ...]:
        """Return all files that a user's workflows may load, by name; texts for batches only where they are own."""
        return await asyncio.to_thread(lambda: tuple(self._list(user)))

    async def find(self, user: str, name: str) -> Path:
        """Return the file of a name; raise `ApiError` 404 where there is none, or it leads out of its folder."""
        return await asyncio.to_thread(self._find, user, name)

    async def thumbnail(self, user: str, name: str, size: int = 256) -> Path:
        """Return a small WebP of a picture; raise `ApiError` 415 where it is none."""
        path = await self.find(user, name)
        return await self._thumbnails.get(path, f"input/{path}", size)

    async def save(self, user: str, name: str, content: AsyncIterable[bytes]) -> tuple[InputFile, bool]:
        """Take in a file; return it, and whether it is new: the same content under the same name is kept once.

        Its content decides what it is; a picture of another kind than its name says gets the right suffix, and a name
        that is taken gets a number. Raises `ApiError` 400 for a name that would not lead to the file, 413 beyond the
        limit, 415 for what is neither picture nor text.
        """
        folder = self.folder(user)
        parent, _, last = name.replace("\\", "/").rpartition("/")
        if parent:
            safe_name(f"{parent}/{tame_name(last)}")  # a folder too deep for its files is told before any comes in
        home = await asyncio.to_thread(resolve, folder, safe_name(parent)) if parent else folder
        with told_to_clients():
            received = await self._receive(folder, content)
            try:
                fitting = await self._fitting(tame_name(last), received)
                path, new = await asyncio.to_thread(_place, received, home, fitting)
            finally:
                await asyncio.to_thread(received.part.unlink, missing_ok=True)
            below = PurePosixPath(parent, path.name) if parent else PurePosixPath(path.name)
            return await asyncio.to_thread(_told, path, str(below), True), new

    async def remove(self, user: str, name: str) -> str:
        """Remove a file of the user's own and return its name as lists have it.

        Raise `ApiError` 404 where there is none, 403 for one of another folder.
        """
        found = await self.find(user, name)
        path = self.folder(user) / name.replace("\\", "/")
        if not await asyncio.to_thread(_is_the, path, found):
            raise ApiError(403, "not_own", f"{shown_name(name)} is not a file of yours to remove")
        with told_to_clients():
            await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._thumbnails.forget(f"input/{found}")
        return path.relative_to(self.folder(user)).as_posix()

    def _list(self, user: str) -> Iterator[InputFile]:
        own = self.folder(user)
        texts = Folders({"input": (own,)}, {"input": TEXTS})
        pictures = Folders({"input": self.folders(user)}, {"input": PICTURES})
        named = dict.fromkeys(texts.names("input"), texts) | dict.fromkeys(pictures.names("input"), pictures)
        for name in sorted(named, key=lambda name: (name.casefold(), name)):
            with suppress(FolderError, OSError):  # it was removed meanwhile
                path = named[name].path("input", name, hint=False)
                yield _told(path, name, path.is_relative_to(own))

    def _find(self, user: str, name: str) -> Path:
        if PurePosixPath(name).suffix.lower() in BY_SUFFIX:
            own = self.folder(user)
            for folder in self.folders(user) if media_of(name) != "text/plain" else (own,):
                path = resolve(folder, name)
                if path.is_file():
                    return path
        raise not_found(f"file {shown_name(name)}")

    async def _receive(self, folder: Path, content: AsyncIterable[bytes]) -> Received:
        """Write an upload to a part; nothing stays of one that is too long or breaks off."""
        if folder not in self._swept:
            self._swept.add(folder)
            await asyncio.to_thread(sweep, folder, self._began)
        part = await asyncio.to_thread(part_of, folder)
        most, size, digest = self._settings.limits.upload, 0, hashlib.sha256()
        try:
            with await asyncio.to_thread(part.open, "xb") as file:
                waiting = bytearray()
                async for chunk in content:
                    size += len(chunk)
                    if size > most:
                        raise ApiError(413, "too_large", f"the file is larger than {most} bytes")
                    digest.update(chunk)
                    waiting += chunk
                    if len(waiting) >= CHUNK:
                        await asyncio.to_thread(file.write, bytes(waiting))
                        waiting.clear()
                await asyncio.to_thread(_finish, file.fileno(), bytes(waiting))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return Received(part, size, digest.hexdigest())

    async def _fitting(self, name: str, received: Received) -> str:
        """Return the name with the suffix that the content has; raise `ApiError` 415 for what is not taken."""
        if received.size == 0:
            raise ApiError(415, "empty_file", "the file is empty")
        stem, suffix = _parted(name)
        if suffix.lower() in TEXTS:
            await asyncio.to_thread(_check_text, received.part)
            return name
        seen = await self._host.inspect(received.part, self._settings.limits)
        if BY_SUFFIX.get(suffix.lower()) == seen.media:
            return name
        if seen.suffix not in BY_SUFFIX:
            raise ApiError(415, "not_an_image", f"a file of the type {seen.media} is not taken")
        return f"{stem if suffix.lower() in BY_SUFFIX else name}{seen.suffix}"


def _is_the(path: Path, found: Path) -> bool:
    """Tell whether a path, links followed, is the file that was found."""
    return path.is_file() and path.resolve() == found


def _parted(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem else (name, "")


def _finish(number: int, rest: bytes) -> None:
    view = memoryview(rest)
    while view:
        view = view[os.write(number, view) :]
    os.fsync(number)


def _check_text(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise ApiError(415, "not_text", "the file is not text in UTF-8, as its name says") from error
            if "\0" in text:
                raise ApiError(415, "not_text", "the file is not text: it holds NUL")
            if not chunk:
                return


def _place(received: Received, folder: Path, name: str) -> tuple[Path, bool]:
    """Give an upload its name, a numbered one where that is taken by something else; tell whether it is new."""
    stem, suffix = _parted(name)
    for number in range(NAMESAKES):
        path = folder / (f"{stem} ({number}){suffix}" if number else name)
        try:
            name_whole(received.part, path)
        except FileExistsError:
            if _same(path, received):
                return path, False
        else:
            return path, True
    raise ApiError(409, "name_taken", f"there are {NAMESAKES} files called {shown_name(name)} already")


def _same(path: Path, received: Received) -> bool:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != received.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == received.sha256
    except OSError:
        return False


def _told(path: Path, name: str, own: bool) -> InputFile:
    status = path.stat()
    return InputFile(name, status.st_size, status.st_mtime, media_of(name), own)
