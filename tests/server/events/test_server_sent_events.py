"""Streams as server-sent events, read as a browser's EventSource reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from nodegraph.server.streams import Pace

Start = Callable[..., Any]


@asynccontextmanager
async def source(served: Any, last: str | None = None, **query: str) -> AsyncIterator[Callable[[], Any]]:
    """Open a stream; yields what returns the next message as (id, data)."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    async with served.session.get(served.url, params=query, headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"

        async def following() -> tuple[str, Any]:
            id, data = "", ""
            while True:
                text = (await asyncio.wait_for(response.content.readline(), 5)).decode()
                if not text:
                    raise EOFError
                name, _, value = text.rstrip("\n").partition(": ")
                if name == "id":
                    id = value
                elif name == "data":
                    data = value
                elif not name and (data or id):
                    return id, json.loads(data) if data else None

        yield following


async def test_a_stream_tells_the_same_as_a_websocket_and_ids_are_places(stream: Start) -> None:
    served = await stream()
    async with source(served) as following:
        id, hello = await following()
        assert (id, hello) == (
            f"{served.hub.epoch}:0",
            {"type": "hello", "epoch": served.hub.epoch, "seq": 0, "replayed": False},
        )
        assert (await following())[1]["type"] == "snapshot"
        served.hub.publish("job.done", {"text": "two\nlines\r\ndata: x"}, user="ann", job="j")
        served.hub.publish("queue.changed", {}, user=None)
        id, event = await following()
        assert (id, event["seq"], event["type"]) == (f"{served.hub.epoch}:1", 1, "job.done")
        assert event["data"]["text"] == "two\nlines\r\ndata: x"
        assert (await following())[1]["type"] == "queue.changed"


async def test_who_comes_back_says_the_last_id_and_gets_what_was_missed(stream: Start) -> None:
    served = await stream()
    for number in range(4):
        served.hub.publish("job.done", {"n": number}, user="ann" if number != 2 else "bob", job="j")
    served.hub.flush()
    async with source(served, last=f"{served.hub.epoch}:1") as following:
        assert (await following())[1]["replayed"] is True
        assert [(await following())[1]["data"]["n"] for _ in range(2)] == [1, 3]
    async with source(served, last="nonsense") as following:
        assert (await following())[1]["replayed"] is False
        assert (await following())[1]["type"] == "snapshot"


async def test_quiet_streams_show_that_they_live_and_where_they_are(stream: Start) -> None:
    served = await stream(pace=Pace(keep_alive=0.1))
    async with source(served, user="ann") as following:
        await following(), await following()
        served.hub.publish("job.done", {}, user="bob", job="j")
        await asyncio.sleep(0.05)
        served.hub.publish("queue.changed", {}, user="bob")
        told = [await following() for _ in range(3)]
    assert told[-1] == (f"{served.hub.epoch}:2", None)


async def test_a_stalled_listener_is_cut_and_stalls_nobody(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=Pace(stall=0.5))
    stalled = await open_raw(served.port, buffer=4096, upgrade=False)
    async with source(served) as following:
        await following(), await following()
        for number in range(100):
            served.hub.publish("job.done", {"n": number, "text": "x" * 20_000}, user="ann", job="j")
            assert (await following())[1]["data"]["n"] == number
        async with asyncio.timeout(3):
            while served.hub.streams == 2:
                await asyncio.sleep(0.02)
        assert served.hub.cuts == 1
    assert await asyncio.wait_for(stalled.ends(), 5) < 2_000_000


async def test_a_stop_sends_what_is_there_and_ends_the_stream(stream: Start) -> None:
    served = await stream()
    async with source(served) as following:
        await following(), await following()
        served.hub.publish("job.done", {}, user="ann", job="j")
        served.hub.stop()
        assert (await following())[1]["type"] == "job.done"
        try:
            await following()
        except EOFError:
            ended = True
        assert ended


async def test_a_snapshot_that_fails_is_an_error_before_the_stream_begins(stream: Start) -> None:
    served = await stream()

    async def broken(user: str, everything: bool) -> dict[str, Any]:
        raise RuntimeError("no store")

    served.snapshot = broken
    async with served.session.get(served.url) as response:
        assert response.status == 500
    assert served.hub.streams == 0


async def test_listeners_that_vanish_leave_nothing_behind(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=Pace(keep_alive=0.1))
    for _ in range(5):
        (await open_raw(served.port, upgrade=False)).socket.close()
    async with asyncio.timeout(3):
        while served.hub.streams:
            await asyncio.sleep(0.02)
    async with served.session.get(served.url) as response:
        assert isinstance(response, aiohttp.ClientResponse)
        assert served.hub.streams == 1
