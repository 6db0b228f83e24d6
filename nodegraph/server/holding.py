"""Why jobs are not begun: somebody paused the queue or a device, or the disk is full."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nodegraph.server.errors import ApiError
from nodegraph.server.files.paths import user_folder
from nodegraph.server.security.principal import OWNER
from nodegraph.server.settings import Settings
from nodegraph.server.store.errors import StoreError, StoreFullError
from nodegraph.server.store.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)
QUEUE, DEVICES, ROOM = "queue.paused", "queue.devices", "queue.room"
LOOK_SECONDS = 2.0
DISK_FULL = "disk full"


class Holding:
    """Pauses of the queue and of devices, which outlast the process, and the lack of room, which ends by itself."""

    def __init__(self, settings: Settings, store: Store, on_change: Callable[[], None]) -> None:
        self._settings, self._store, self._on_change = settings, store, on_change
        self._paused: str | None = None
        self._full = False
        self.devices: dict[str, str] = {}
        """Device -> why it is paused."""
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def reason(self) -> str | None:
        """Return why no job is begun; None where jobs are begun."""
        return DISK_FULL if self._full else self._paused

    async def start(self) -> None:
        """Read what was paused, and watch the disk from now on."""
        self._paused = await self._store.get(QUEUE)
        self.devices = dict(await self._store.get(DEVICES) or {})
        self._full = not await asyncio.to_thread(self._has_room)
        self._task = asyncio.create_task(self._watch(), name="room on the disk")

    def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()

    async def pause(self, device: str | None, reason: str) -> None:
        """Pause the queue, or a device."""
        await self._set(device, reason)

    async def resume(self, device: str | None) -> None:
        """End a pause; the lack of room ends only when there is room."""
        await self._set(device, None)

    def full(self) -> None:
        """Note that something did not fit on the disk."""
        if not self._full:
            log.warning("the disk is full: no job is begun until there are %d bytes of room", self._settings.reserve)
            self._full = True
            self._on_change()

    async def written(self, write: Awaitable[T]) -> T:
        """Wait for a write that somebody asked for; raise `ApiError` 507 where there is no room for it."""
        try:
            return await write
        except StoreFullError as error:
            self.full()
            raise ApiError(507, "disk_full", "there is no room on the server's disk") from error

    async def _set(self, device: str | None, reason: str | None) -> None:
        async with self._changing:  # each change builds on the one before
            if device is None:
                await self._store.put(QUEUE, reason)
                self._paused = reason
            else:
                devices = {name: why for name, why in self.devices.items() if name != device}
                devices |= {} if reason is None else {device: reason}
                await self._store.put(DEVICES, devices)
                self.devices = devices
        self._on_change()

    def _has_room(self) -> bool:
        for folder in (self._settings.data, user_folder(self._settings.data, OWNER, "output")):
            try:
                if shutil.disk_usage(folder).free < self._settings.reserve:
                    return False
            except OSError:
                continue  # a folder that is not there is told by the jobs that need it
        return True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not await asyncio.to_thread(self._has_room):  # a disk may take its time to tell
                self.full()
            elif self._full and await self._can_write():
                log.info("there is room on the disk again")
                self._full = False
                self._on_change()

    async def _can_write(self) -> bool:
        """Tell whether the store takes a write: there may be limits other than the disk's size."""
        try:
            await self._store.put(ROOM, None)
        except StoreError:
            return False
        return True
