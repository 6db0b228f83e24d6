"""Streams of events to one client: over a websocket, or as server-sent events."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from aiohttp import WSMessage, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nodegraph.server.errors import ApiError
from nodegraph.server.hub import RESYNC, Cut, Hub, Subscription
from nodegraph.server.ring import Entry, line, websocket_form
from nodegraph.server.snapshots import Source

LONGEST_MESSAGE = 64 * 2**10
MESSAGES_A_SECOND = 50
UNSENT = 64 * 2**10
"""Bytes that the kernel may hold for a client beyond what is on its way: little, so that lag shows here, not there."""
UNSUPPORTED, POLICY, INTERNAL = 1003, 1008, 1011
_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long, in seconds, a client may take."""

    stall: float = 10.0
    """To take what it was sent, before it is cut."""
    heartbeat: float = 20.0
    """Between two pings of a websocket; half of it may pass until the pong."""
    keep_alive: float = 15.0
    """Between two signs of life of server-sent events."""
    close: float = 2.0
    """To answer a websocket's end."""


PACE: Final = Pace()


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Subscribe(_Message):
    """Say anew what the stream shall carry; what is left out stays as it is."""

    type: Literal["subscribe"]
    previews: bool | None = None
    jobs: Annotated[list[Annotated[str, Field(max_length=100)]] | None, Field(max_length=1000)] = None
    """Only events of these jobs; null: all."""


class Ping(_Message):
    """Ask for a `pong`."""

    type: Literal["ping"]


ClientMessage = Annotated[Subscribe | Ping, Field(discriminator="type")]
_MESSAGE: Final[TypeAdapter[Subscribe | Ping]] = TypeAdapter(ClientMessage)


async def websocket(
    request: web.Request, hub: Hub, stream: Subscription, snapshot: Source, pace: Pace = PACE
) -> web.StreamResponse:
    """Serve a stream over a websocket until the client leaves, falls behind or breaks the rules."""
    ws = web.WebSocketResponse(
        heartbeat=pace.heartbeat,
        autoping=False,
        compress=False,
        max_msg_size=LONGEST_MESSAGE,
        timeout=pace.close,
    )
    if not ws.can_prepare(request):
        raise ApiError(400, "bad_handshake", "the headers of this websocket upgrade are not those of RFC 6455")
    await ws.prepare(request)
    transport = _tuned(request, stream, pace)
    client = _Client(ws, transport, hub, stream, snapshot, pace)
    tasks = {asyncio.create_task(client.send_all()), asyncio.create_task(client.receive_all())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        cut = _outcome(done, stream)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stream.close()
    await _close(ws, transport, cut, 0.0 if client.stalled else pace.close)
    return ws


async def _close(ws: web.WebSocketResponse, transport: asyncio.WriteTransport, cut: Cut, seconds: float) -> None:
    """Say goodbye, but not for long to a client that does not read: nothing of it would ever leave."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ws.close(code=cut.code, message=cut.reason.encode())
    if transport.get_write_buffer_size():
        transport.abort()


def _outcome(done: set[asyncio.Task[None]], stream: Subscription) -> Cut:
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an event stream ended by an error", exc_info=error)
            return Cut(INTERNAL, "an internal error")
    return stream.cut or Cut(1000, "")


class _Client:
    """The two directions of a websocket."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        hub: Hub,
        stream: Subscription,
        snapshot: Source,
        pace: Pace,
    ) -> None:
        self._ws, self._transport = ws, transport
        self._hub, self._stream, self._snapshot = hub, stream, snapshot
        self._pace = pace
        self._allowed, self._counted = float(MESSAGES_A_SECOND), time.monotonic()
        self.stalled = False

    async def send_all(self) -> None:
        """Send hello, a snapshot where one is needed, then what happens, until the stream is cut."""
        stream = self._stream
        with suppress(ConnectionError):
            await self._send(hello(self._hub, stream))
            if not stream.replayed:
                await self._send(await resynchronise(self._hub, stream, self._snapshot))
            while stream.cut is None:
                await stream.wait()
                while (frame := stream.frame(websocket_form)) is not None:
                    await self._send(frame)
                await self._show()

    async def _send(self, data: bytes, type: WSMsgType = WSMsgType.TEXT) -> None:
        try:
            async with asyncio.timeout(self._pace.stall):
                await self._ws.send_frame(data, type)
        except TimeoutError:
            self.stalled = True
            self._stream.end(Cut(RESYNC, "resync"))

    async def _show(self) -> None:
        """Send previews as long as the client keeps up: whatever waits in the transport goes first."""
        while not self._transport.get_write_buffer_size() and (preview := self._stream.preview()) is not None:
            await self._send(preview, WSMsgType.BINARY)

    async def receive_all(self) -> None:
        """Take what the client says until it leaves or breaks the rules."""
        while True:
            message: WSMessage = await self._ws.receive()
            if message.type in _ENDS:
                return
            refusal = self._refusal(message.type)
            if refusal is not None:
                self._stream.end(refusal)
                return
            with suppress(ConnectionError):
                await self._take(message)

    def _refusal(self, type: WSMsgType) -> Cut | None:
        now = time.monotonic()
        self._allowed = min(self._allowed + (now - self._counted) * MESSAGES_A_SECOND, MESSAGES_A_SECOND)
        self._counted = now
        self._allowed -= 1
        if self._allowed < 0:
            return Cut(POLICY, f"more than {MESSAGES_A_SECOND} messages a second")
        if type == WSMsgType.BINARY:
            return Cut(UNSUPPORTED, "binary messages are not taken")
        return None

    async def _take(self, message: WSMessage) -> None:
        if message.type == WSMsgType.PING:
            await self._send(message.data, WSMsgType.PONG)
        elif message.type == WSMsgType.TEXT:
            await self._send(line(self._answer(message.data)))

    def _answer(self, text: str) -> dict[str, Any]:
        try:
            asked = _MESSAGE.validate_json(text)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in found["loc"])
            return {"type": "error", "code": "invalid_message", "message": found["msg"], "field": place}
        if isinstance(asked, Ping):
            return {"type": "pong", "epoch": self._hub.epoch, "seq": self._stream.cursor}
        stream = self._stream
        stream.choose(
            previews=asked.previews, jobs=asked.jobs if "jobs" in asked.model_fields_set else stream.audience.jobs
        )
        jobs = stream.audience.jobs
        return {"type": "subscribed", "previews": stream.previews, "jobs": None if jobs is None else sorted(jobs)}


@dataclass(frozen=True, slots=True)
class EventStreamForm:
    """Writes events for a browser's EventSource; the id of each is what it comes back with."""

    epoch: str

    def __call__(self, entries: Sequence[Entry]) -> bytes:
        """Write some events."""
        epoch = self.epoch.encode()
        return b"".join(b"id: %b:%d\ndata: %b\n\n" % (epoch, entry.seq, entry.line) for entry in entries)


async def server_sent(
    request: web.Request, hub: Hub, stream: Subscription, snapshot: Source, pace: Pace = PACE
) -> web.StreamResponse:
    """Serve a stream as server-sent events until the client leaves or falls behind."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    first = [hello(hub, stream), *([] if stream.replayed else [await resynchronise(hub, stream, snapshot)])]
    await response.prepare(request)
    transport = _tuned(request, stream, pace)
    try:
        await _Listener(response, hub, stream, pace).send_all(first)
    except TimeoutError:
        stream.end(Cut(RESYNC, "resync"))
        transport.abort()
    except ConnectionError:
        pass
    finally:
        stream.close()
    return response


class _Listener:
    """The one direction of server-sent events."""

    def __init__(self, response: web.StreamResponse, hub: Hub, stream: Subscription, pace: Pace) -> None:
        self._response, self._hub, self._stream, self._pace = response, hub, stream, pace
        self._form = EventStreamForm(hub.epoch)

    async def send_all(self, first: Sequence[bytes]) -> None:
        """Send the first messages, then what happens, until the stream is cut."""
        stream = self._stream
        await self._send(b"retry: 2000\n" + b"".join(self._id() + b"data: %b\n\n" % message for message in first))
        while stream.cut is None:
            try:
                await asyncio.wait_for(stream.wait(), self._pace.keep_alive)
            except TimeoutError:  # the id tells a browser where it is, though nothing was meant for it
                await self._send(b": keep-alive\n" + self._id() + b"\n")
            while (frame := stream.frame(self._form)) is not None:
                await self._send(frame)

    def _id(self) -> bytes:
        return b"id: %b:%d\n" % (self._hub.epoch.encode(), self._stream.cursor)

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(self._pace.stall):
            await self._response.write(data)


def hello(hub: Hub, stream: Subscription) -> bytes:
    """Return a stream's first message: where it stands, and whether it goes on there or a snapshot follows."""
    return line({"type": "hello", "epoch": hub.epoch, "seq": stream.cursor, "replayed": stream.replayed})


async def resynchronise(hub: Hub, stream: Subscription, source: Source) -> bytes:
    """Return a snapshot's message and put the stream right after it."""
    snapshot = await hub.snapshots.get(stream.audience, source)
    stream.cursor = snapshot.seq
    head = line({"type": "snapshot", "epoch": hub.epoch, "seq": snapshot.seq})
    return head[:-1] + b',"data":' + snapshot.data + b"}"


def _tuned(request: web.Request, stream: Subscription, pace: Pace) -> asyncio.WriteTransport:
    """Return the request's transport, told to hold little and to give up on a peer that is silent."""
    transport = request.transport
    if not isinstance(transport, asyncio.WriteTransport):
        raise ConnectionResetError("the client has left")
    found = transport.get_extra_info("socket")
    if found is not None and found.family in (socket.AF_INET, socket.AF_INET6) and sys.platform == "linux":
        with suppress(OSError):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * (pace.heartbeat + pace.stall)))
    stream.on_end(transport.abort)
    return transport
