"""What clients may take of the server at most: bytes, seconds, uploads and connections."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodegraph.server.keys import STORE
from nodegraph.server.security.limits import IN_USE
from nodegraph.server.settings import Limits

JOBS = "/api/v1/jobs"
SMALL = Limits(body=10_000, upload=50_000, uploads=1, read_seconds=1.0, depth=20)


async def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(serve: Any) -> None:
    served = await serve(limits=SMALL)
    head = f"POST {JOBS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    answer = await raw(served, head + "Content-Length: 1000000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"too_large"' in answer


async def test_a_body_without_a_length_is_refused_where_it_gets_too_long(serve: Any) -> None:
    served = await serve(limits=SMALL)

    async def endless() -> Any:
        for _ in range(10_000):
            yield b" " * 1000

    headers = {"Content-Type": "application/json"}
    try:
        async with served.session.post(served.url + JOBS, data=endless(), headers=headers) as response:
            assert response.status == 413
    except (aiohttp.ClientConnectionError, ConnectionError):  # closed while the client was still sending
        pass
    await served.json("GET", "/healthz")


async def test_a_body_that_trickles_in_is_given_up(serve: Any) -> None:
    served = await serve(limits=SMALL)
    head = f"POST {JOBS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    answer = await raw(served, head, trickle=b" ")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"too_slow"' in answer


async def test_a_head_that_trickles_in_is_given_up(serve: Any) -> None:
    served = await serve(limits=SMALL)
    began = asyncio.get_running_loop().time()
    answer = await raw(served, f"GET {JOBS} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", trickle=b"a", known=False)
    assert answer == b""
    assert asyncio.get_running_loop().time() - began < 5


async def test_compressed_bodies_are_not_taken(serve: Any) -> None:
    served = await serve(limits=SMALL)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    document = await served.json("POST", JOBS, 415, data=b"\x1f\x8b\x08\x00" + bytes(100), headers=headers)
    assert document["error"]["code"] == "encoded_body"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_json_of_another_type_is_not_taken(served: Any, kind: str | None) -> None:
    skip = ["Content-Type"] if kind is None else []
    headers = {"Content-Type": kind} if kind else {}
    async with served.session.post(served.url + JOBS, data=b"{}", headers=headers, skip_auto_headers=skip) as response:
        assert response.status == 415


JUNK = [
    (b"[" * 100_000, 400),
    (b'{"a": ' + b"9" * 5000 + b"}", 400),
    (b'{"a": NaN}', 400),
    (b'{"a": 1, "a": 2}', 400),
    (b'{"a": "\\ud800"}', 400),
    (b"{} {}", 400),
    (b"\xff\xfe", 400),
    (b"", 400),
    (b"[]", 422),
    (b"null", 422),
]


async def test_junk_is_refused_in_words(served: Any) -> None:
    for data, status in JUNK:
        headers = {"Content-Type": "application/json"}
        async with served.session.post(served.url + JOBS, data=data, headers=headers) as response:
            text = await response.text()
            assert response.status == status, (data[:50], text)
            assert json.loads(text)["error"]["message"]
            assert len(text) < 5000
    await served.json("GET", "/healthz")


async def test_uploads_beyond_the_number_allowed_may_come_later(serve: Any) -> None:
    served = await serve(limits=Limits(uploads=1, read_seconds=20))
    head = "POST /api/v1/files?name=a.png HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    _, writer = await connect(served, head + "Content-Length: 1000\r\n\r\n")
    try:
        while served.app[IN_USE].uploads == 0:
            await asyncio.sleep(0.01)
        headers = {"Content-Type": "image/png"}
        async with served.session.post(
            served.url + "/api/v1/files?name=b.png", data=b"x" * 1000, headers=headers
        ) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
    finally:
        writer.close()
    while served.app[IN_USE].uploads:
        await asyncio.sleep(0.01)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_the_server(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve()
    head = "POST /api/v1/files?name=a.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    with caplog.at_level(logging.ERROR, "nodegraph"):
        _, writer = await connect(served, f"{head}Content-Length: 1000\r\n\r\nabc")
        while served.app[IN_USE].uploads == 0:
            await asyncio.sleep(0.01)
        writer.close()
        while served.app[IN_USE].uploads:
            await asyncio.sleep(0.01)
        await served.json("GET", "/healthz")
    assert caplog.messages == []
    assert list((served.settings.data / "input").iterdir()) == []


async def test_an_upload_beyond_its_limit_is_refused(serve: Any, tmp_path: Path) -> None:
    served = await serve(limits=SMALL)
    headers = {"Content-Type": "image/png"}
    async with served.session.post(
        served.url + "/api/v1/files?name=a.png", data=b"x" * 200_000, headers=headers
    ) as response:
        assert response.status == 413
    assert [path for path in (tmp_path / "data" / "input").rglob("*") if path.is_file()] == []


async def test_connections_beyond_the_number_allowed_are_closed_and_the_others_served(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.server.serve.MOST_CONNECTIONS", 64)
    served = await serve()
    await served.json("GET", "/healthz")  # by a connection that stays
    opened = [await asyncio.open_connection("127.0.0.1", served.settings.port) for _ in range(100)]
    await asyncio.sleep(0.2)
    closed = sum(reader.at_eof() or reader.exception() is not None for reader, _ in opened)
    assert closed == 100 - 63
    await served.json("GET", "/healthz")
    for _, writer in opened:
        writer.close()


async def connect(served: Any, head: str, *, known: bool = True) -> Any:
    """Open a connection and begin a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.settings.port)
    first, _, rest = head.partition("\r\n")
    token = f"Authorization: Bearer {served.server.token}\r\n" if known else ""
    writer.write(f"{first}\r\n{token}{rest}".encode())
    return reader, writer


async def raw(served: Any, head: str, *, trickle: bytes = b"", known: bool = True) -> bytes:
    """Send a head and then bytes one by one until there is an answer or the connection ends; return what came."""
    reader, writer = await connect(served, head, known=known)
    answer = asyncio.create_task(reader.read(10_000))
    try:
        async with asyncio.timeout(15):
            while trickle and not answer.done():
                writer.write(trickle)
                await asyncio.sleep(0.1)
            return bytes(await answer)
    finally:
        writer.close()


async def test_a_store_that_another_program_holds_may_be_asked_again_later(serve: Any) -> None:
    served = await serve()
    served.app[STORE]._database._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(served.app[STORE].path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with served.session.post(f"{served.url}/api/v1/users", json={"name": "ann"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert (await response.json())["error"]["code"] == "store_busy"
            assert "process" not in await response.text()
    await served.json("POST", "/api/v1/users", 201, json={"name": "ann"})
