"""The files that jobs wrote, as they are served, shown small and removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nodegraph.server.errors import ApiError
from nodegraph.server.files.paths import resolve, user_folder
from nodegraph.server.files.thumbnails import Thumbnails
from nodegraph.server.files.whole import told_to_clients
from nodegraph.server.host import Host
from nodegraph.server.records import Output
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store


class Outputs:
    """Finds the files of outputs; who may have them is the caller's to see to."""

    def __init__(self, settings: Settings, store: Store, host: Host) -> None:
        self._data, self._store = settings.data, store
        self._thumbnails = Thumbnails(settings.data / "thumbnails" / "outputs", host)

    async def path(self, output: Output) -> Path:
        """Return an output's file; raise `ApiError` 410 where it was taken away."""
        path = await asyncio.to_thread(self._path, output)
        if path is None:
            raise ApiError(410, "gone", f"the file of output {output.id} is not there any more")
        return path

    async def thumbnail(self, output: Output, size: int = 256) -> Path:
        """Return a small WebP of an output; raise `ApiError` 415 where it is no picture, 410 where it is gone."""
        return await self._thumbnails.get(await self.path(output), f"output/{output.id}", size)

    async def remove(self, output: Output) -> None:
        """Remove an output: its file, its thumbnails, then what is known of it."""
        path = await asyncio.to_thread(self._path, output)
        if path is not None:
            with told_to_clients():
                await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._thumbnails.forget(f"output/{output.id}")
        await self._store.delete_outputs([output.id])

    def _path(self, output: Output) -> Path | None:
        try:
            path = resolve(user_folder(self._data, output.user, output.kind), output.name)
        except ApiError:
            return None
        return path if path.is_file() else None
