"""Streams over websockets, with real sockets: what comes, what is refused, and who is cut."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from nodegraph.server.hub import Hub
from nodegraph.server.streams import Pace

Start = Callable[..., Any]
QUICK = Pace(stall=0.5, heartbeat=0.4, keep_alive=0.1, close=0.3)


async def test_a_stream_begins_with_hello_and_a_snapshot_then_tells_what_happens(stream: Start, collect: Start) -> None:
    served = await stream()
    async with served.connect() as ws:
        hello, snapshot = await ws.receive_json(), await ws.receive_json()
        assert hello == {"type": "hello", "epoch": served.hub.epoch, "seq": 0, "replayed": False}
        assert (snapshot["type"], snapshot["seq"], snapshot["data"]) == ("snapshot", 0, {"user": "ann", "number": 1})
        served.hub.publish("job.queued", {"id": "j"}, user="ann", job="j")
        served.hub.publish("job.done", {"id": "j"}, user="ann", job="j")
        told = await collect(ws, "job.done")
    assert [(event["seq"], event["type"], event["job"]) for event in told] == [
        (1, "job.queued", "j"),
        (2, "job.done", "j"),
    ]
    assert abs(told[0]["time"] - time.time()) < 60


async def test_who_comes_back_gets_what_was_missed_and_no_snapshot(stream: Start, collect: Start) -> None:
    served = await stream()
    async with served.connect() as ws:
        hello = await ws.receive_json()
    for number in range(3):
        served.hub.publish("job.done", {"n": number}, user="ann", job=str(number))
    served.hub.flush()
    async with served.connect(since=f"{hello['epoch']}:1") as ws:
        assert await ws.receive_json() == {**hello, "seq": 1, "replayed": True}
        served.hub.publish("queue.changed", {}, user=None)
        told = await collect(ws, "queue.changed")
    assert [event["seq"] for event in told] == [2, 3, 4]
    assert len(served.snapshots) == 1


async def test_many_that_come_at_once_share_a_snapshot(stream: Start) -> None:
    served = await stream()

    async def snapshot(user: str) -> int:
        async with served.connect(user) as ws:
            await ws.receive_json()
            return int((await ws.receive_json())["data"]["number"])

    numbers = await asyncio.gather(*(snapshot("ann") for _ in range(20)), *(snapshot("bob") for _ in range(20)))
    assert sorted(served.snapshots) == [("ann", False), ("bob", False)]
    assert len(set(numbers)) == 2


async def test_what_happens_while_a_snapshot_is_made_is_told_after_it(stream: Start, collect: Start) -> None:
    served = await stream()
    made = served.snapshot

    async def slow(user: str, everything: bool) -> dict[str, Any]:
        found: dict[str, Any] = await made(user, everything)
        served.hub.publish("job.done", {}, user="ann", job="meanwhile")
        await asyncio.sleep(0.1)
        return found

    served.snapshot = slow
    async with served.connect() as ws:
        assert (await ws.receive_json())["type"] == "hello"
        assert (await ws.receive_json())["seq"] == 0
        assert [event["job"] for event in await collect(ws, "job.done")] == ["meanwhile"]


async def test_a_snapshot_that_fails_closes_the_stream_with_a_code_and_no_details(
    stream: Start, caplog: pytest.LogCaptureFixture
) -> None:
    served = await stream()

    async def broken(user: str, everything: bool) -> dict[str, Any]:
        raise RuntimeError("the store is at /secret")

    served.snapshot = broken
    async with served.connect() as ws:
        assert (await ws.receive_json())["type"] == "hello"
        message = await ws.receive()
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1011, "an internal error")
    assert "the store is at /secret" in caplog.text


async def test_a_client_chooses_jobs_and_previews(stream: Start, collect: Start) -> None:
    served = await stream()
    async with served.connect() as ws:
        await ws.send_json({"type": "subscribe", "jobs": ["b", "a"], "previews": True})
        assert (await ws.receive_json(), await ws.receive_json())[0]["type"] == "hello"
        assert await ws.receive_json() == {"type": "subscribed", "previews": True, "jobs": ["a", "b"]}
        served.hub.preview("ann", "a", "n", "image/png", 4, 2, b"picture")
        served.hub.preview("ann", "z", "n", "image/png", 4, 2, b"of another job")
        frame = await ws.receive_bytes()
        length = int.from_bytes(frame[:4], "big")
        header = {"type": "preview", "job": "a", "node": "n", "media": "image/png", "width": 4, "height": 2}
        assert (json.loads(frame[4 : 4 + length]), frame[4 + length :]) == (header, b"picture")
        for job in "zab":
            served.hub.publish("job.done", {}, user="ann", job=job)
        assert [event["job"] for event in (await collect(ws, "job.done"))] == ["a", "b"]
        await ws.send_json({"type": "subscribe", "jobs": None})
        assert await ws.receive_json() == {"type": "subscribed", "previews": True, "jobs": None}
        await ws.send_json({"type": "ping"})
        assert await ws.receive_json() == {"type": "pong", "epoch": served.hub.epoch, "seq": 3}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("nonsense", ""),
        ("[]", ""),
        ('{"type":"open"}', ""),
        ('{"type":"subscribe","previews":1}', "subscribe.previews"),
        ('{"type":"subscribe","jobs":"all"}', "subscribe.jobs"),
        ('{"type":"subscribe","jobs":["' + "x" * 101 + '"]}', "subscribe.jobs.0"),
        ('{"type":"ping","more":1}', "ping.more"),
        ("[" * 30_000, ""),
    ],
)
async def test_what_is_not_understood_is_told_and_the_stream_goes_on(stream: Start, text: str, field: str) -> None:
    served = await stream()
    async with served.connect() as ws:
        await ws.receive_json(), await ws.receive_json()
        await ws.send_str(text)
        answer = await ws.receive_json()
        assert (answer["type"], answer["code"], answer["field"]) == ("error", "invalid_message", field)
        await ws.send_json({"type": "ping"})
        assert (await ws.receive_json())["type"] == "pong"


async def test_long_binary_and_too_many_messages_close_the_stream(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=QUICK)
    long, claimed, binary, text, many = [await open_raw(served.port) for _ in range(5)]
    await long.send(1, b" " * (64 * 1024 + 1))
    await claimed.send(1, b" " * 100, claim=100 * 2**20)
    await binary.send(2, b"junk")
    await text.send(1, b"\xff\xfe")
    assert await long.close_code() == 1009
    assert await claimed.close_code() == 1009
    assert await binary.close_code() == 1003
    assert await text.close_code() == 1007
    for _ in range(60):
        await many.send(9, b"")
    assert await many.close_code() == 1008
    await asyncio.sleep(0.5)
    assert served.hub.streams == 0


async def test_pings_of_the_protocol_are_answered(stream: Start, open_raw: Start) -> None:
    served = await stream()
    raw = await open_raw(served.port)
    await raw.send(9, b"there?")
    frames = [await raw.receive() for _ in range(3)]
    assert (10, b"there?") in frames


async def test_a_broken_handshake_is_refused(stream: Start) -> None:
    served = await stream()
    async with served.session.get(served.url, headers={"Upgrade": "websocket"}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "bad_handshake"
    assert served.hub.streams == 0


async def test_a_stalled_client_is_cut_and_stalls_nobody(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=Pace(stall=1.0, heartbeat=60))
    stalled = await open_raw(served.port, buffer=4096)
    late: list[float] = []
    async with served.connect() as ws:
        assert served.hub.streams == 2
        await ws.receive_json(), await ws.receive_json()
        for number in range(300):
            sent = time.perf_counter()
            served.hub.publish("job.done", {"n": number, "text": "x" * 20_000}, user="ann", job="j")
            told = await ws.receive_json()
            late.append(time.perf_counter() - sent)
            assert told["events"][0]["data"]["n"] == number
        async with asyncio.timeout(3):
            while served.hub.streams == 2:
                await asyncio.sleep(0.02)
        assert served.hub.cuts == 1
        await ws.send_json({"type": "ping"})
        assert (await ws.receive_json())["type"] == "pong"
    assert sorted(late)[int(0.95 * len(late))] < 0.2
    await asyncio.wait_for(stalled.ends(), 5)


async def test_a_stalled_client_that_is_sent_next_to_nothing_is_found_by_the_heartbeat(
    stream: Start, open_raw: Start
) -> None:
    served = await stream(pace=QUICK)
    await open_raw(served.port)
    assert served.hub.streams == 1
    async with asyncio.timeout(3):
        while served.hub.streams:
            await asyncio.sleep(0.02)


async def test_a_quiet_client_that_answers_pings_stays(stream: Start) -> None:
    served = await stream(pace=QUICK)
    async with served.connect() as ws:
        await ws.receive_json(), await ws.receive_json()
        reading = asyncio.create_task(ws.receive_json())
        await asyncio.sleep(1.5)
        served.hub.publish("queue.changed", {}, user=None)
        assert (await reading)["events"][0]["type"] == "queue.changed"


async def test_a_stalled_client_holds_little_memory(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=Pace(stall=30, heartbeat=60))
    await open_raw(served.port, "/events?previews=true", buffer=4096)
    (place,) = served.hub._streams
    for number in range(400):
        served.hub.preview("ann", "j", str(number % 40), "image/jpeg", 1, 1, bytes(100_000))
        served.hub.publish("job.changed", {"text": "x" * 10_000}, user="ann", job="j")
        if number % 20 == 0:
            await asyncio.sleep(0.06)
    served.hub.flush()
    assert place._bytes <= 2**21
    assert len(served.hub.ring) == 400
    assert place.cursor < 100


async def test_clients_that_vanish_leave_nothing_behind(stream: Start, open_raw: Start) -> None:
    served = await stream(pace=QUICK)
    opened = [await open_raw(served.port) for _ in range(10)]
    for number, raw in enumerate(opened):
        if number % 2:
            raw.socket.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: a reset instead of an end
        raw.socket.close()
    async with asyncio.timeout(3):
        while served.hub.streams:
            served.hub.publish("queue.changed", {}, user=None)
            await asyncio.sleep(0.02)
    assert len(asyncio.all_tasks()) < 10


async def test_a_stop_sends_what_is_there_and_goes_away(stream: Start, open_raw: Start) -> None:
    served = await stream()
    stalled = await open_raw(served.port, buffer=4096)
    async with served.connect() as ws:
        await ws.receive_json(), await ws.receive_json()
        for _ in range(100):
            served.hub.publish("job.changed", {"text": "x" * 20_000}, user="ann", job="j")
        await asyncio.sleep(0.1)
        served.hub.publish("job.done", {}, user="ann", job="j")
        served.hub.stop()
        last: list[str] = []
        async for message in ws:
            last = [event["type"] for event in json.loads(message.data)["events"]]
        assert last[-1] == "job.done"
        assert ws.close_code == 1001
    began = time.monotonic()
    async with asyncio.timeout(5):
        while served.hub.streams:
            await asyncio.sleep(0.02)
    assert time.monotonic() - began < 4
    await asyncio.wait_for(stalled.ends(), 5)


async def test_streams_of_a_dismissed_user_end(stream: Start) -> None:
    served = await stream()
    async with served.connect("ann") as ann, served.connect("bob") as bob:
        for ws in (ann, bob):
            await ws.receive_json(), await ws.receive_json()
        served.hub.publish("job.done", {}, user="ann", job="j")
        served.hub.dismiss("ann")
        message = await ann.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4001)
        served.hub.publish("queue.changed", {}, user=None)
        assert (await bob.receive_json())["events"][0]["type"] == "queue.changed"


async def test_too_many_streams_are_refused_before_the_upgrade(stream: Start) -> None:
    from nodegraph.server.settings import Limits

    served = await stream(hub=Hub(Limits(sockets_each=1)))
    async with served.connect():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.connect()
        assert refused.value.status == 429
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"] == "10"
