"""Rows 38 and 39 of the attack list: floods of jobs, sockets and uploads, and websockets that break every rule.

`tests/server/events` tries the stream by itself: clients that stall, vanish or say too much. Here they are raw bytes
to the real server.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from nodegraph.server.settings import Limits
from tests.server.attacks.wire import API, JSON, Wire, node
from tests.server.conftest import Shared, in_a_thread, settings_of

FEW = Limits(queued=20, sockets=6, sockets_each=4, uploads=2, batch=15, history=50)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    yield from in_a_thread(settings_of(tmp_path_factory.mktemp("served") / "data", limits=FEW))


@contextmanager
def stream(wire: Wire) -> Iterator[socket.socket]:
    """Open a websocket, and read its answer's head."""
    lines = [
        f"GET {API}/events HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {wire.token}", "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
    ]  # fmt: skip
    with closing(socket.create_connection(("127.0.0.1", wire.port), timeout=20)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            got = connection.recv(1)
            assert got, head
            head += got
        yield connection if head.startswith(b"HTTP/1.1 101") else _refused(head)


def _refused(head: bytes) -> socket.socket:
    raise ConnectionRefusedError(head.decode())


def frame(kind: int, data: bytes, *, length: int | None = None, masked: bool = True, first: int = 0x80) -> bytes:
    """Return a frame; `length`: what it says of itself."""
    said = len(data) if length is None else length
    bit = 0x80 if masked else 0
    short = bytes([bit | said]) if said < 126 else b""
    medium = bytes([bit | 126]) + struct.pack(">H", said) if 126 <= said < 65536 else b""
    sized = short or medium or bytes([bit | 127]) + struct.pack(">Q", said)
    return bytes([first | kind]) + sized + (bytes(4) if masked else b"") + data


def closing_code(connection: socket.socket) -> int | None:
    """Read frames until the server closes; return its code, None where it only hangs up."""
    buffer = b""
    try:
        while True:
            while len(buffer) >= 2:
                kind, said, at = buffer[0] & 15, buffer[1] & 127, 2
                if said >= 126:
                    size = 2 if said == 126 else 8
                    said, at = int.from_bytes(buffer[2 : 2 + size], "big"), 2 + size
                if len(buffer) < at + said:
                    break
                if kind == CLOSE:
                    return int.from_bytes(buffer[at : at + 2], "big") if said >= 2 else None
                buffer = buffer[at + said :]
            got = connection.recv(65536)
            if not got:
                return None
            buffer += got
    except ConnectionError:
        return None


BROKEN = {
    "row39 100 MB said": (frame(TEXT, b"x", length=100 * 2**20), {1009, None}),
    "row39 2^63 said": (frame(TEXT, b"x", length=2**63 - 1), {1009, 1002, None}),
    "row39 100 kB": (frame(TEXT, b"x" * 100_000), {1009}),
    "row39 100 kB in parts": (frame(TEXT, b"x" * 30_000, first=0) + frame(0, b"x" * 30_000, first=0) * 5, {1009, None}),
    "row39 binary": (frame(BINARY, bytes(20)), {1003}),
    "row39 not masked": (frame(TEXT, b"{}", masked=False) + frame(CLOSE, b"\x03\xe8"), {1000, 1002, None}),
    "row39 reserved bits": (frame(TEXT, b"{}", first=0xF0), {1002}),
    "row39 unknown kind": (frame(7, b"{}"), {1002}),
    "row39 not UTF-8": (frame(TEXT, b"\xff\xfe\xfd"), {1007, 1002, None}),
    "row39 long ping": (frame(PING, b"x" * 200), {1002}),
    "row39 close of one byte": (frame(CLOSE, b"x"), {1002, 1000, None}),
    "row39 part of nothing": (frame(0, b"x"), {1002, None}),
    "row39 10 000 messages": (frame(TEXT, b'{"type": "ping"}') * 10_000, {1008, None}),
    "row39 junk": (os.urandom(50_000), {1002, 1003, 1007, 1008, 1009, None}),
    "row39 HTTP again": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50, {1002, 1003, 1007, 1008, 1009, None}),
}


@pytest.mark.parametrize(("data", "codes"), BROKEN.values(), ids=list(BROKEN))
def test_a_stream_that_breaks_the_rules_is_closed_with_a_code(wire: Wire, data: bytes, codes: set[int | None]) -> None:
    with stream(wire) as connection:
        with suppress(ConnectionError):  # closed before it was all sent
            connection.sendall(data)
        assert closing_code(connection) in codes


DEEP = ["[" * 30_000, '{"type": "subscribe", "jobs": ' + "[" * 20_000, '{"type": NaN}', '{"type": ' + "9" * 6000 + "}",
        '{"type": "subscribe", "jobs": ["' + "x" * 50_000 + '"]}', '{"type":"__class__"}', '"', "\\ud800"]  # fmt: skip


def test_row39_junk_in_messages_is_told_and_the_stream_goes_on(wire: Wire) -> None:
    with stream(wire) as connection:
        for text in DEEP:
            connection.sendall(frame(TEXT, text.encode()))
        connection.sendall(frame(CLOSE, struct.pack(">H", 1000)))
        assert closing_code(connection) == 1000


def test_row38_streams_beyond_the_number_allowed_may_come_later(wire: Wire) -> None:
    with ExitStack() as stack:
        for _ in range(FEW.sockets_each):
            stack.enter_context(stream(wire))
        with pytest.raises(ConnectionRefusedError, match=r"HTTP/1.1 429") as caught:
            stack.enter_context(stream(wire))
        assert "Retry-After:" in str(caught.value)
        assert wire.get("/").status == 200
        assert wire.get(f"{API}/jobs").status == 200


def test_row38_jobs_beyond_the_number_allowed_may_come_later(wire: Wire) -> None:
    assert wire.send("POST", f"{API}/queue/pause").status == 200
    workflow = {"format": 1, "nodes": {"a": node("faults.Text", text="x")}, "inputs": {"text": "a.text"}}
    try:
        statuses = [wire.post(f"{API}/jobs", {"workflow": workflow}).status for _ in range(FEW.queued + 5)]
        assert statuses == [201] * FEW.queued + [429] * 5
        late = [
            wire.post(f"{API}/jobs", {"workflow": workflow}),
            wire.post(f"{API}/batches", {"workflow": workflow, "over": {"list": [{"text": "a"}]}}),
            wire.send("POST", f"{API}/jobs/import", exported(workflow), ["Content-Type: application/x-ndjson"]),
        ]
        assert [answer.status for answer in late] == [429] * 3
        assert all(int(answer.headers["retry-after"]) > 0 for answer in late)
        assert wire.get("/").status == 200
    finally:
        wire.send("POST", f"{API}/queue/clear")
        assert wire.send("POST", f"{API}/queue/resume").status == 200


def exported(workflow: dict[str, Any]) -> bytes:
    return json.dumps({"format": 1, "id": os.urandom(16).hex(), "state": "queued", "workflow": workflow}).encode()


def test_row38_a_batch_beyond_the_number_allowed_is_refused_before_it_is_made(wire: Wire) -> None:
    workflow = {"format": 1, "nodes": {"a": node("faults.Text", text="x")}, "inputs": {"text": "a.text"}}
    ways: tuple[dict[str, Any], ...] = (
        {"product": {"text": [str(number) for number in range(10_000)], "width": list(range(10_000))}},
        {"zip": {"text": [str(number) for number in range(1000)]}},
        {"list": [{}] * 1000},
    )
    for over in ways:
        answer = wire.post(f"{API}/batches", {"workflow": workflow, "over": over})
        assert answer.status == 422
        assert "15" in answer.text


def test_row38_connections_that_say_nothing_hold_nobody_up(wire: Wire) -> None:
    with ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(closing(socket.create_connection(("127.0.0.1", wire.port), timeout=5)))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" if number % 2 else b"")
        assert wire.get(f"{API}/jobs", seconds=5).status == 200
        assert wire.send("POST", f"{API}/jobs/check", b"{}", JSON, seconds=5).status == 422
