"""Webhooks: which hosts may be called, how calls are signed, that they are repeated until they got through."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nodegraph.server import webhooks
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import STORE
from nodegraph.server.records import State, Submission
from nodegraph.server.serve import running
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store
from nodegraph.server.webhooks import PublicResolver, Webhooks, check_webhook, public, secret, sign

LISTED = ("hooks.example.com", "other.example.com:8443", "127.0.0.1:9000", "[::1]:9000", "localhost:9000")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "http://hooks.example.com",
        "https://HOOKS.example.com./x",
        "https://other.example.com:8443/",
        "http://127.0.0.1:9000/x",
        "http://[::1]:9000/x",
        "http://localhost:9000/",
    ],
)
def test_listed_hosts_may_be_called(tmp_path: Path, url: str) -> None:
    check_webhook(url, Settings(data=tmp_path, webhooks=LISTED))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "javascript:alert(1)",
        "https://hooks.example.com:8443/",
        "https://other.example.com/",
        "https://hooks.example.com.evil.com/",
        "https://hooks.example.com@evil.com/",
        "https://user:pass@hooks.example.com/",
        "https://evil.com/#hooks.example.com",
        "https://evil.com\\@hooks.example.com/",
        "http://169.254.169.254/",
        "http://127.0.0.1/",
        "http://127.0.0.1:9001/",
        "http://2130706433:9000/",
        "http://0x7f000001:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://localhost.:80/",
        "http://hooks.example.com:99999/",
        "http://[::1/",
        "https://hooks.example.com\r\nHost: evil/",
    ],
)
def test_any_other_address_is_refused_with_its_field(tmp_path: Path, url: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_webhook(url, Settings(data=tmp_path, webhooks=LISTED))
    assert (refused.value.status, refused.value.problems[0]["field"]) == (422, "webhook")


def test_without_listed_hosts_nobody_is_called(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="--webhooks"):
        check_webhook("https://hooks.example.com/", Settings(data=tmp_path))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")),
        *((address, False) for address in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1")),
        *((address, False) for address in ("fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1")),
        *((address, False) for address in ("2002:7f00:1::", "2001:0:1::1", "::ffff:169.254.169.254")),
    ],
)
def test_public_addresses_are_told_from_others(address: str, expected: bool) -> None:
    assert public(address) is expected


async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside(host: str, port: int, **_: Any) -> list[Any]:
        addresses = ["93.184.216.34", "10.0.0.1"] if host == "flips.example.com" else ["127.0.0.1"]
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", inside)
    for name in ("flips.example.com", "inside.example.com"):
        with pytest.raises(OSError, match="not public"):
            await PublicResolver().resolve(name, 443)
    assert [found["host"] for found in await PublicResolver().resolve("localhost", 9000)] == ["127.0.0.1"]


@dataclass
class Receiver:
    """A server that takes webhooks and answers as told."""

    answers: list[Any] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else 200
        if callable(answer):
            return await answer(request)  # type: ignore[no-any-return]
        headers = {"Location": "/elsewhere"} if 300 <= answer < 400 else {}
        return web.Response(status=answer, headers=headers)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(8):
            while len(self.got) < count:
                await asyncio.sleep(0.02)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


Call = Callable[..., Any]


@pytest.fixture
async def call(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Call]:
    """Return what ends a job that has a webhook of this URL, with the sender running and little patience."""
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(webhooks, "DELAYS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(webhooks, "CALL_SECONDS", 0.5)
    store = await Store.open(tmp_path)
    sender = Webhooks(Settings(data=tmp_path, webhooks=(f"127.0.0.1:{receiver.port}",)), store)
    await sender.start()

    async def finish(path: str = "/hook", url: str | None = None) -> Any:
        target = url or f"http://127.0.0.1:{receiver.port}{path}"
        (job,) = await store.add("ann", [Submission(document=b"{}", name="a job", webhook=target)])
        await store.claim(job.id, "cpu")
        return await store.finish(job.id, State.DONE, seconds=1.5, values={"count": 3}), store

    yield finish
    await sender.stop()
    await store.close()


async def owed(store: Store) -> int:
    return len(await store.due_webhooks(2.0**40))


async def test_a_final_job_is_told_with_a_signature_that_can_be_checked(call: Call, receiver: Receiver) -> None:
    job, store = await call("/hook?x=1")
    await receiver.until(1)
    headers, body = receiver.got[0]
    told = json.loads(body)
    assert (told["type"], told["data"]["id"], told["data"]["values"]) == ("job.done", job.id, {"count": 3})
    key = base64.b64decode((await secret(store)).removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert "Authorization" not in headers
    assert "Cookie" not in headers
    await asyncio.sleep(0.3)
    assert (len(receiver.got), await owed(store)) == (1, 0)


def test_signatures_are_those_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert (
        sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


async def test_a_call_that_fails_is_repeated_under_the_same_id(call: Call, receiver: Receiver) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    async def vanish(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.answers = [500, hang, vanish]
    _, store = await call("/hook")
    await receiver.until(4)
    await asyncio.sleep(0.2)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert (len(receiver.got), await owed(store)) == (4, 0)


async def test_a_call_is_given_up_after_the_last_try(call: Call, receiver: Receiver) -> None:
    receiver.answers = [500] * 10
    _, store = await call("/hook")
    await receiver.until(4)
    await asyncio.sleep(0.4)
    assert (len(receiver.got), await owed(store)) == (4, 0)


async def test_a_call_is_not_made_again_at_once_where_the_store_does_not_take_that_it_got_through(
    call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "HELD_SECONDS", 0.5)
    _, store = await call("/before")
    await receiver.until(1)
    refuse = "CREATE TRIGGER refuse BEFORE DELETE ON webhooks BEGIN SELECT raise(ABORT, 'not now'); END"
    await store._write(lambda connection: connection.execute(refuse))
    await call("/hook")
    await receiver.until(2)
    await asyncio.sleep(0.3)
    assert len(receiver.got) == 2
    await store._write(lambda connection: connection.execute("DROP TRIGGER refuse"))
    await receiver.until(3)
    await asyncio.sleep(0.2)
    assert await owed(store) == 0


async def test_a_receiver_that_is_gone_is_not_asked_again(call: Call, receiver: Receiver) -> None:
    receiver.answers = [410]
    _, store = await call("/hook")
    await receiver.until(1)
    await asyncio.sleep(0.3)
    assert (len(receiver.got), await owed(store)) == (1, 0)


async def test_redirects_are_not_followed(call: Call, receiver: Receiver) -> None:
    receiver.answers = [302, 307]
    await call("/hook")
    await receiver.until(3)
    assert len(receiver.got) == 3


async def test_a_host_that_is_not_listed_any_more_is_not_called(call: Call, receiver: Receiver) -> None:
    _, store = await call(url=f"http://localhost:{receiver.port}/")
    await asyncio.sleep(0.4)
    assert (receiver.got, await owed(store)) == ([], 0)


async def test_one_receiver_that_hangs_does_not_hold_up_others(call: Call, receiver: Receiver) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    receiver.answers = [hang, hang, hang]
    for _ in range(6):
        await call("/hook")
    began = asyncio.get_running_loop().time()
    await receiver.until(6)
    assert asyncio.get_running_loop().time() - began < 0.45


async def test_without_listed_hosts_nothing_is_started(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    sender = Webhooks(Settings(data=tmp_path), store)
    before = len(asyncio.all_tasks())
    await sender.start()
    assert len(asyncio.all_tasks()) == before
    await sender.stop()
    await store.close()


async def test_a_server_makes_each_call_once(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.05)

    async def take_a_while(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.Response()

    receiver.answers = [take_a_while]
    listed = (f"127.0.0.1:{receiver.port}",)
    async with running(Settings(data=tmp_path, port=0, devices=("cpu",), preload=False, webhooks=listed)) as server:
        store = server.app[STORE]
        target = f"http://{listed[0]}/"
        (job,) = await store.add("owner", [Submission(document=b"{}", webhook=target)])
        await store.finish(job.id, State.CANCELLED)
        await receiver.until(1)
        async with asyncio.timeout(8):
            while await owed(store):
                await asyncio.sleep(0.02)
    assert len(receiver.got) == 1


async def test_the_secret_is_kept(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    first = await secret(store)
    await store.close()
    store = await Store.open(tmp_path)
    assert await secret(store) == first
    await store.close()
