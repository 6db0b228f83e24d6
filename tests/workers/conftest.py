"""Real child processes, and jobs for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.children import Child, configuration
from nodegraph.server.protocol import Header
from nodegraph.server.settings import Settings

Json = Any


class Spoken:
    """A worker, and what it has told."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.told: list[tuple[Header, bytes]] = []
        self.child = Child("worker", configuration(settings), name="worker cpu", on_tell=self._told)
        self._folder = folder

    def _told(self, header: Header, payload: bytes) -> None:
        self.told.append((header, payload))

    def job(self, nodes: Mapping[str, Json], *, job: str = "job", **more: Json) -> tuple[dict[str, Json], bytes]:
        """Return parameters and text of a job whose workflow has these nodes; `file` are further parts of the file."""
        folders = {"input": [], "output": str(self._folder / "output"), "temp": str(self._folder / "temp")}
        document = {"format": 1, "nodes": dict(nodes), **more.pop("file", {})}
        return {"job": job, "folders": folders, "previews": False, **more}, json.dumps(document).encode()

    async def run(self, nodes: Mapping[str, Json], **more: Json) -> dict[str, Json]:
        """Run a job and return what became of it."""
        result, _ = await self.child.call("run", *self.job(nodes, **more), timeout=30)
        assert isinstance(result, dict)
        return result

    def events(self, kind: str | None = None) -> list[dict[str, Json]]:
        """Return the events that were told."""
        found = [header["event"] for header, _ in self.told if header["tell"] == "event"]
        return [event for event in found if kind in (None, event["event"])]

    def tells(self, kind: str) -> list[tuple[Header, bytes]]:
        return [(header, payload) for header, payload in self.told if header["tell"] == kind]

    async def until(self, wanted: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for something to be told."""
        end = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < end, "it was not told in time"
            await asyncio.sleep(0.01)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", preload=False)


@asynccontextmanager
async def started(settings: Settings, folder: Path) -> AsyncIterator[Spoken]:
    spoken = Spoken(settings, folder)
    await spoken.child.start(60)
    try:
        yield spoken
    finally:
        await spoken.child.stop(2)


@pytest.fixture
async def worker(settings: Settings, tmp_path: Path) -> AsyncIterator[Spoken]:
    async with started(settings, tmp_path / "stage") as spoken:
        yield spoken
