"""Real queues: a store on disk, a hub, workers that run the nodes of the fault plugin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from nodegraph.server.host import Host
from nodegraph.server.hub import Hub
from nodegraph.server.queue import Queue
from nodegraph.server.records import Job, Output, Submission
from nodegraph.server.ring import Entry
from nodegraph.server.security.principal import Principal
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store

Json = Any
SECONDS = 60.0
"""That any one thing may take on a busy machine."""


def document(nodes: Mapping[str, Json], **more: Json) -> bytes:
    """Return a workflow file; a node is its type, or its whole entry."""
    entries = {name: {"type": node} if isinstance(node, str) else node for name, node in nodes.items()}
    return json.dumps({"format": 1, "nodes": entries, **more}).encode()


def node(type: str, links: Mapping[str, str] | None = None, **params: Json) -> dict[str, Json]:
    """Return a node's entry."""
    return {"type": type, "params": params, "links": dict(links or {})}


def submission(nodes: Mapping[str, Json], *, file: Mapping[str, Json] | None = None, **more: Json) -> Submission:
    """Return a job to be, of a workflow with these nodes; `file` are further parts of the file."""
    return Submission(**{"document": document(nodes, **(file or {})), "nodes": len(nodes), **more})


class Bench:
    """A queue with all that it needs. Its hub's events are read as a stream of the user `owner` would get them."""

    def __init__(self, settings: Settings, store: Store, hub: Hub, host: Host) -> None:
        self.settings, self.store, self.hub = settings, store, hub
        self.queue = Queue(settings, store, hub, host)
        self.stream = hub.subscribe(Principal("owner"), everything=True, previews=True)
        self._events: list[dict[str, Json]] = []

    node = staticmethod(node)
    submission = staticmethod(submission)

    async def ready(self) -> None:
        """Wait until a worker can take jobs."""
        await self.until(lambda: self.queue.ready)

    async def until(self, what: Any) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(SECONDS):
            while not what():
                await asyncio.sleep(0.005)

    async def submit(self, nodes: Mapping[str, Json], user: str = "owner", **more: Json) -> Job:
        """Submit one job."""
        (job,) = await self.queue.submit(user, [submission(nodes, **more)])
        return job

    async def end(self, job: Job) -> Job:
        """Wait for a job's end."""
        found = await self.queue.until_at_rest(job.id, SECONDS)
        assert found is not None
        assert found.state.final, found
        return found

    async def run(self, nodes: Mapping[str, Json], **more: Json) -> Job:
        """Submit a job and wait for its end."""
        return await self.end(await self.submit(nodes, **more))

    async def begun(self, job: Job, node: str | None = None) -> None:
        """Wait until a node of a job (None: any) has told that it goes on."""
        async with asyncio.timeout(SECONDS):
            while True:
                view = await self.queue.view(job)
                if any(at.state == "running" and node in (None, at.node) for at in view.nodes):
                    return
                await asyncio.sleep(0.005)

    async def outputs(self, job: Job, kind: str | None = None) -> list[Output]:
        """Return what a job wrote, in order."""
        page = await self.store.outputs(job.user, job=job.id, kind=kind, limit=500)
        return list(reversed(page.items))

    def files(self, folder: str = "output") -> list[str]:
        """Return the names of all files below a folder of the data."""
        root = self.settings.data / folder
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def events(self, job: Job | None = None) -> list[dict[str, Json]]:
        """Return what happened so far, of a job if one is given."""
        self.hub.flush()
        while (frame := self.stream.frame(_lines)) is not None:
            self._events += [json.loads(line) for line in frame.splitlines()]
        return [event for event in self._events if job is None or event.get("job") == job.id]

    def types(self, job: Job) -> list[str]:
        """Return the types of the events of a job, progress left out."""
        return [event["type"] for event in self.events(job) if event["type"] != "node.progress"]


def _lines(entries: list[Entry]) -> bytes:
    return b"\n".join(entry.line for entry in entries)


class Open(Protocol):
    """Start a queue on a data folder; it stops with the test, or by `close`."""

    async def __call__(self, data: Path | None = None, **changes: Any) -> Bench: ...


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def start(data: Path | None = None, **changes: Any) -> Bench:
            folder = data or tmp_path / "data"
            folder.mkdir(exist_ok=True)
            defaults = {"data": folder, "devices": ("cpu",), "preload": False, "reserve": 0, "disk": 2**26}
            settings = Settings(**{**defaults, **changes})
            store = await Store.open(folder)
            stack.push_async_callback(store.close)
            hub = Hub(settings.limits)
            bench = Bench(settings, store, hub, Host(settings, lambda: None))
            stack.push_async_callback(bench.queue.stop, 0)
            await bench.queue.start()
            return bench

        yield start


@pytest.fixture
async def bench(open_bench: Open) -> Bench:
    """Return a queue of this test alone, its worker ready."""
    found = await open_bench()
    await found.ready()
    return found
