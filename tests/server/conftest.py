"""Real servers with real child processes: in the test's own loop, or in a thread for all tests of a module."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import pytest

from nodegraph.server.serve import Running, running
from nodegraph.server.settings import Settings

T = TypeVar("T")


def settings_of(data: Path, **changes: Any) -> Settings:
    """Return settings for a small server: any free port, one worker on the CPU that imports torch when it must."""
    defaults: dict[str, Any] = {"port": 0, "devices": ("cpu",), "workers": 1, "preload": False, "disk": 64 * 2**20}
    return Settings(data=data, **{**defaults, "reserve": 0, **changes})


@dataclass
class Served:
    """A server in this loop and a client that is known to it."""

    server: Running
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def settings(self) -> Settings:
        return self.server.settings

    @property
    def app(self) -> aiohttp.web.Application:
        return self.server.app

    async def json(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Ask, see that the status is the expected one, and return the answer's JSON."""
        async with self.session.request(method, self.url + path, **options) as response:
            text = await response.text()
            assert response.status == status, f"{method} {path}: {response.status} {text}"
            return await response.json() if text else None


class Serve(Protocol):
    """Start a server with these settings changed."""

    async def __call__(self, data: Path | None = None, **changes: Any) -> Served: ...


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start servers that stop with the test; several must be given different `data`."""
    async with AsyncExitStack() as stack:

        async def start(data: Path | None = None, **changes: Any) -> Served:
            server = await stack.enter_async_context(running(settings_of(data or tmp_path / "data", **changes)))
            headers = {"Authorization": f"Bearer {server.token}"}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            return Served(server, session)

        yield start


@pytest.fixture
async def served(serve: Serve) -> Served:
    """Return a server of this test alone."""
    return await serve()


@dataclass
class Shared:
    """A server in a thread of its own, for all tests of a module."""

    server: Running
    loop: asyncio.AbstractEventLoop
    headers: dict[str, str] = field(default_factory=dict)
    """What lets the owner in."""

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def token(self) -> str:
        return self.server.token

    @property
    def port(self) -> int:
        return self.server.settings.port

    @property
    def data(self) -> Path:
        return self.server.settings.data

    def run(self, work: Callable[[aiohttp.web.Application], Awaitable[T]]) -> T:
        """Do something with the application's parts, in its loop."""

        async def call() -> T:
            return await work(self.server.app)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(60)


def in_a_thread(settings: Settings) -> Iterator[Shared]:
    """Run a server in a thread until the generator goes on."""
    started: list[Shared | BaseException] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        try:
            async with running(settings) as server:
                headers = {"Authorization": f"Bearer {server.token}"}
                started.append(Shared(server, asyncio.get_running_loop(), headers))
                ready.set()
                await stop.wait()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            started.append(error)
            ready.set()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait()
    if isinstance(started[0], BaseException):
        thread.join()
        raise started[0]
    yield started[0]
    started[0].loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Return a server that the module's tests share."""
    yield from in_a_thread(settings_of(tmp_path_factory.mktemp("served") / "data"))


@pytest.fixture
async def client(shared: Shared) -> AsyncIterator[aiohttp.ClientSession]:
    """Return the owner's client of the shared server; paths are enough as addresses."""
    async with aiohttp.ClientSession(shared.url, headers=shared.headers) as session:
        yield session


@pytest.fixture
async def stranger(shared: Shared) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client of the shared server that nobody knows."""
    async with aiohttp.ClientSession(shared.url) as session:
        yield session
