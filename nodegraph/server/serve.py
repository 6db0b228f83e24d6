"""Run the server until it is told to stop: bind, start, say where it is, stop in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiohttp import web

from nodegraph.engine.errors import NodegraphError
from nodegraph.server.app import build
from nodegraph.server.keys import ACCOUNTS
from nodegraph.server.security.connections import Runner
from nodegraph.server.security.principal import OWNER
from nodegraph.server.settings import Settings

SERVER: Final = "server.json"
"""In the data folder, readable for its owner alone: where the server is and how commands on this machine get in."""
INTERRUPTED: Final = 130
LAST_RESORT: Final = 5.0
"""Seconds beyond the grace after which the process ends, whatever still hangs."""
MOST_CONNECTIONS: Final = 4096
log = logging.getLogger(__name__)


class PortError(NodegraphError):
    """The address cannot be listened on; the text says why and what to do."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    app: web.Application
    settings: Settings
    """As they were, but with the port that was found where 0 was asked for."""
    url: str
    token: str
    """The owner's."""

    async def link(self) -> str:
        """Return an address that lets a browser in once."""
        if self.settings.open_access:
            return f"{self.url}/"
        return f"{self.url}/login?code={await self.app[ACCOUNTS].link(OWNER)}"


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Serve within the block; leaving it stops the server, running jobs first.

    Raises `PortError`, `LockedError` or `StoreError` where it cannot start.
    """
    check_settings(settings)
    with contextlib.closing(_listen(settings)) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        app = build(settings)
        runner = Runner(app, read_seconds=settings.limits.read_seconds, most=_most_connections())
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            server = Running(app, settings, _url(settings), app[ACCOUNTS].token)
            with _told(server):
                yield server
        finally:
            await runner.cleanup()


def check_settings(settings: Settings) -> None:
    """Raise `PortError` for settings that would let strangers in."""
    if settings.open_access and not settings.loopback:
        raise PortError(
            f"with --no-token anybody who reaches {settings.host} could use this machine: "
            "listen on 127.0.0.1, or leave --no-token out"
        )


def _listen(settings: Settings) -> socket.socket:
    """Listen before anything else is done: whoever comes early is answered once all is ready."""
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if isinstance(error, socket.gaierror):
            next_step = "--host takes an address or a name of this machine"
            raise PortError(f"cannot listen on {host}:{port}: {why.lower()}; {next_step}") from error
        other = port + 1 if 0 < port < 65535 else 8189
        next_step = f"`nodegraph serve --port {other}` would listen on another port"
        raise PortError(f"cannot listen on {host}:{port}: {why.lower()}; {next_step}") from error
    listener.setblocking(False)
    return listener


def _most_connections() -> int:
    """Let the process have as many files as it may, and return how many connections that leaves room for."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS // 8
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
            soft = min(hard, 65536)
    return max(64, min(MOST_CONNECTIONS, soft - 256))


def _url(settings: Settings) -> str:
    """Return the address to open on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"


@contextmanager
def _told(server: Running) -> Iterator[None]:
    """Tell commands on this machine where the server is, until it stops."""
    path = server.settings.data / SERVER
    told = {"url": server.url, "token": server.token, "pid": os.getpid(), "version": version("nodegraph")}
    draft = path.with_name(f"{SERVER}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file)
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def serve(settings: Settings, started: Callable[[Running, str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `started` is told the server and the link for a browser, once it answers.

    A second signal ends the process at once: what is on disk is whole at any moment.
    """
    stop = asyncio.Event()
    with _signals(stop, settings.data / SERVER):
        async with running(settings) as server:
            started(server, await server.link())
            log.info("serving at %s, data in %s", server.url, server.settings.data)
            gc.collect()
            gc.freeze()  # what was imported stays: later collections need not look at it
            await stop.wait()
            log.info("stopping within %.0f s: jobs that run till then are queued again", settings.grace)
            asyncio.get_running_loop().call_later(settings.grace + LAST_RESORT, os._exit, int(signal.SIGTERM) + 128)
    log.info("stopped")


@contextmanager
def _signals(stop: asyncio.Event, told: Path) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def heed() -> None:
        if stop.is_set():
            told.unlink(missing_ok=True)
            os._exit(INTERRUPTED)
        stop.set()

    kinds = (signal.SIGINT, signal.SIGTERM)
    if sys.platform == "win32":
        before = [signal.signal(kind, lambda *_: loop.call_soon_threadsafe(heed)) for kind in kinds]
        try:
            yield
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)
        return
    for kind in kinds:
        loop.add_signal_handler(kind, heed)
    try:
        yield
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)
