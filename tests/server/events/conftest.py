"""A small application with a real hub and real sockets, whose clients are who they say they are."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web

from nodegraph.server.errors import ApiError
from nodegraph.server.hub import Hub
from nodegraph.server.security.principal import Principal
from nodegraph.server.settings import Limits
from nodegraph.server.streams import PACE, Pace, server_sent, websocket


@dataclass
class Streaming:
    """A hub whose streams can be had at `url`."""

    hub: Hub
    port: int = 0
    pace: Pace = PACE
    snapshots: list[tuple[str, bool]] = field(default_factory=list)
    """For whom one was made."""
    session: aiohttp.ClientSession = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def connect(self, user: str = "ann", **query: Any) -> Any:
        """Open a websocket; a context manager."""
        text = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        return self.session.ws_connect(self.url, params={"user": user, **text})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        upgrade = "Upgrade" in request.headers
        try:
            stream = self.hub.subscribe(
                Principal(asked.get("user", "ann")),
                request.headers.get("Last-Event-ID", asked.get("since")),
                everything=asked.get("all") == "true",
                previews=asked.get("previews") == "true",
                jobs=asked.getall("job") if "job" in asked else None,
            )
            with closing(stream):
                serve = websocket if upgrade else server_sent
                return await serve(request, self.hub, stream, self.snapshot, self.pace)
        except ApiError as error:
            return web.json_response(error.document, status=error.status, headers=error.headers)

    async def snapshot(self, user: str, everything: bool) -> dict[str, Any]:
        self.snapshots.append((user, everything))
        return {"user": user, "number": len(self.snapshots)}


class Stream(Protocol):
    """Start an application with such a hub."""

    async def __call__(self, hub: Hub | None = None, pace: Pace = PACE) -> Streaming: ...


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    async with AsyncExitStack() as stack:

        async def start(hub: Hub | None = None, pace: Pace = PACE) -> Streaming:
            streaming = Streaming(hub or Hub(Limits(), tick=0.01), pace=pace)
            app = web.Application()
            app.router.add_get("/events", streaming.handle)
            runner = web.AppRunner(app, shutdown_timeout=5)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            streaming.port = runner.addresses[0][1]
            streaming.session = await stack.enter_async_context(aiohttp.ClientSession())
            stack.callback(streaming.hub.stop)
            return streaming

        yield start


@dataclass
class Raw:
    """A websocket by hand, that does what no library lets one do."""

    socket: socket.socket

    async def send(self, opcode: int, payload: bytes, claim: int | None = None) -> None:
        """Send a frame, masked by zeros; `claim` a length other than its own."""
        length = len(payload) if claim is None else claim
        head = bytes([0x80 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", length)
        await asyncio.get_running_loop().sock_sendall(self.socket, head + bytes(4) + payload)

    async def receive(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload."""
        first, second = await self._exactly(2)
        length = second & 127
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(await self._exactly(size), "big")
        return first & 15, await self._exactly(length)

    async def close_code(self) -> int:
        """Read on until the server closes, and return its code."""
        while True:
            opcode, payload = await asyncio.wait_for(self.receive(), 5)
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")

    async def ends(self) -> int:
        """Read on until the connection ends; return how many bytes there were."""
        count = 0
        with suppress(ConnectionResetError):
            while part := await asyncio.get_running_loop().sock_recv(self.socket, 65536):
                count += len(part)
        return count

    async def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = await asyncio.get_running_loop().sock_recv(self.socket, count - len(found))
            if not part:
                raise EOFError
            found += part
        return found


Open = Callable[..., Any]


@pytest.fixture
async def open_raw() -> AsyncIterator[Open]:
    """Return what opens a raw websocket to a port; `buffer`: of how many bytes its receiving buffer is."""
    opened: list[socket.socket] = []

    async def open_one(port: int, path: str = "/events", buffer: int | None = None, upgrade: bool = True) -> Raw:
        connection = socket.socket()
        opened.append(connection)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        if upgrade:
            lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
            lines += ["Sec-WebSocket-Version: 13"]
        await loop.sock_sendall(connection, "\r\n".join([*lines, "", ""]).encode())
        raw = Raw(connection)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await raw._exactly(1)
        return raw

    yield open_one
    for connection in opened:
        connection.close()


Collect = Callable[..., Any]


@pytest.fixture
def collect() -> Collect:
    """Return what reads events off a websocket until one of a type has come."""

    async def until(ws: aiohttp.ClientWebSocketResponse, last: str, seconds: float = 5) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(seconds):
            while not events or events[-1]["type"] != last:
                message = await ws.receive()
                if message.type == aiohttp.WSMsgType.BINARY:
                    continue
                assert message.type == aiohttp.WSMsgType.TEXT, message
                told = json.loads(message.data)
                events.extend(told["events"] if told["type"] == "events" else ())
        return events

    return until
