"""Small pictures, made by the host and kept on disk within a bound."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from nodegraph.server.errors import not_found
from nodegraph.server.files.whole import told_to_clients, write_whole
from nodegraph.server.host import Host

log = logging.getLogger(__name__)
EDGES: Final = (64, 128, 256, 512, 1024)
"""Sizes that are made; what is asked for in between gets the next larger one."""
LARGEST: Final = EDGES[-1]
ROOM: Final = 256 * 2**20
"""Bytes that all thumbnails may take; the oldest give way."""
AT_ONCE: Final = 2


class Thumbnails:
    """Makes thumbnails of files and keeps them in `folder`, by what a file is called and when it was changed."""

    def __init__(self, folder: Path, host: Host, room: int = ROOM) -> None:
        self._folder, self._host, self._room = folder, host, room
        self._making: dict[str, asyncio.Task[Path]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._held: int | None = None

    async def get(self, source: Path, key: str, size: int) -> Path:
        """Return the WebP of a picture within a square of at least `size`; raise `ApiError` 415 where it is none.

        `key` tells the file from all others. Who asks while it is being made waits for the same one.
        """
        edge = next((edge for edge in EDGES if edge >= size), LARGEST)
        try:
            status = await asyncio.to_thread(source.stat)
        except OSError as error:
            raise not_found("file of that name") from error
        changed = f"{key}\0{status.st_mtime_ns}\0{status.st_size}\0{edge}"
        name = f"{_prefix(key)}-{hashlib.sha256(changed.encode()).hexdigest()[:16]}.webp"
        path = self._folder / name
        if await asyncio.to_thread(path.is_file):
            return path
        task = self._making.get(name)
        if task is None:
            task = self._making[name] = asyncio.create_task(self._make(source, path, edge))
            task.add_done_callback(lambda done: self._made(name, done))
        return await asyncio.shield(task)

    async def forget(self, key: str) -> None:
        """Remove the thumbnails of a file."""
        await asyncio.to_thread(self._remove, _prefix(key))

    async def _make(self, source: Path, path: Path, edge: int) -> Path:
        async with self._turns:
            data = await self._host.thumbnail(source, edge)
        with told_to_clients():
            await asyncio.to_thread(self._keep, path, data)
        return path

    def _made(self, name: str, task: asyncio.Task[Path]) -> None:
        self._making.pop(name, None)
        if not task.cancelled() and task.exception() is not None:
            log.debug("no thumbnail: %s", task.exception())

    def _keep(self, path: Path, data: bytes) -> None:
        write_whole(path, data)
        if self._held is None:
            self._held = sum(size for _, size, _ in self._files())
        else:
            self._held += len(data)
        if self._held > self._room:
            files = sorted(self._files())
            self._held = sum(size for _, size, _ in files)
            for _, size, name in files:
                if self._held <= self._room * 3 // 4 or name == str(path):
                    break
                with suppress(OSError):
                    Path(name).unlink()
                self._held -= size

    def _files(self) -> list[tuple[float, int, str]]:
        found = []
        for entry in os.scandir(self._folder):
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, entry.path))
        return found

    def _remove(self, prefix: str) -> None:
        for path in self._folder.glob(f"{prefix}-*.webp"):
            path.unlink(missing_ok=True)


def _prefix(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
