"""Who gets in: tokens, cookies, links, hosts and pages; what each answer carries."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest

from nodegraph.server.accounts import digest
from nodegraph.server.keys import ACCOUNTS, STORE

SELF = "/api/v1/me"
JSON = {"Content-Type": "application/json"}


async def refused(response: aiohttp.ClientResponse, status: int) -> str:
    """See that a request was refused in our form, and return the code."""
    text = await response.text()
    assert response.status == status, text
    error = json.loads(text)["error"]
    assert error["message"]
    assert "Traceback" not in text
    return str(error["code"])


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b3duZXI6eA=="},
        {"Authorization": "\xff\xfe"},
        {"Cookie": "nodegraph_session_{port}=wrong"},
        {"Cookie": 'nodegraph_session_{port}="; ; =;'},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    ],
)
async def test_without_a_right_token_nobody_gets_in(stranger: Any, shared: Any, sent: dict[str, str]) -> None:
    headers = {name: value.replace("{port}", str(shared.port)) for name, value in sent.items()}
    async with stranger.get(SELF, headers=headers) as response:
        assert await refused(response, 401) == "no_token"
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["token", "access_token", "code", "api_key"])
async def test_a_token_in_an_address_lets_nobody_in(stranger: Any, shared: Any, name: str) -> None:
    async with stranger.get(SELF, params={name: shared.token}) as response:
        assert await refused(response, 401) == "no_token"


async def test_the_token_lets_the_owner_in(client: Any) -> None:
    async with client.get(SELF) as response:
        assert (await response.json())["user"] == "owner"


async def test_a_wrong_token_is_not_made_good_by_a_right_cookie(stranger: Any, shared: Any) -> None:
    cookie = await log_in(stranger, shared)
    async with stranger.get(SELF, headers={"Cookie": cookie, "Authorization": "Bearer wrong"}) as response:
        await refused(response, 401)


async def test_two_tokens_are_none(shared: Any) -> None:
    head = f"GET {SELF} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {shared.token}\r\n"
    assert (await raw(shared.port, f"{head}Authorization: Bearer x\r\n\r\n")).startswith("HTTP/1.1 40")


async def log_in(session: aiohttp.ClientSession, shared: Any) -> str:
    """Use a link and return the cookie as a browser would send it."""
    code = shared.run(lambda app: app[ACCOUNTS].link("owner"))
    async with session.get("/login", params={"code": code}, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/"
        cookie = response.headers["Set-Cookie"]
    assert re.match(rf"nodegraph_session_{shared.port}=[\w-]{{43}};", cookie)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    return cookie.split(";")[0]


async def test_a_link_lets_a_browser_in_by_a_cookie(shared: Any) -> None:
    async with aiohttp.ClientSession(shared.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        cookie = await log_in(session, shared)
        async with session.get(SELF, headers={"Cookie": cookie}) as response:
            assert response.status == 200


async def test_a_link_works_once(stranger: Any, shared: Any) -> None:
    code = shared.run(lambda app: app[ACCOUNTS].link("owner"))
    statuses = []
    for _ in range(2):
        async with stranger.get("/login", params={"code": code}, allow_redirects=False) as response:
            statuses.append(response.status)
    assert statuses == [303, 403]


async def test_a_link_that_is_raced_for_works_once(stranger: Any, shared: Any) -> None:
    code = shared.run(lambda app: app[ACCOUNTS].link("owner"))

    async def use() -> int:
        async with stranger.get("/login", params={"code": code}, allow_redirects=False) as response:
            return int(response.status)

    assert sorted(await asyncio.gather(*(use() for _ in range(10)))) == [303, *[403] * 9]


async def test_asking_only_for_a_links_head_does_not_use_it_up(stranger: Any, shared: Any) -> None:
    code = shared.run(lambda app: app[ACCOUNTS].link("owner"))
    async with stranger.head("/login", params={"code": code}, allow_redirects=False) as response:
        assert response.status in (404, 405)
    async with stranger.get("/login", params={"code": code}, allow_redirects=False) as response:
        assert response.status == 303


async def test_secrets_are_stored_as_hashes_alone(shared: Any, stranger: Any) -> None:
    cookie = (await log_in(stranger, shared)).partition("=")[2]
    token = shared.run(lambda app: app[ACCOUNTS].add("hashed"))
    files = list(shared.data.glob("nodegraph.db*"))
    stored = b"".join(path.read_bytes() for path in files)
    assert digest(token).encode() in stored
    assert token.encode() not in stored
    assert cookie.encode() not in stored
    assert shared.token.encode() not in stored


async def test_a_user_that_is_removed_is_out_at_once(stranger: Any, shared: Any) -> None:
    headers = {"Authorization": f"Bearer {shared.run(lambda app: app[ACCOUNTS].add('leaver'))}"}
    async with stranger.get(SELF, headers=headers) as response:
        assert response.status == 200
    shared.run(lambda app: app[ACCOUNTS].remove("leaver"))
    async with stranger.get(SELF, headers=headers) as response:
        await refused(response, 401)


async def test_the_event_streams_of_a_user_that_is_removed_end(stranger: Any, shared: Any) -> None:
    headers = {"Authorization": f"Bearer {shared.run(lambda app: app[ACCOUNTS].add('listener'))}"}
    async with stranger.ws_connect("/api/v1/events", headers=headers) as socket:
        await socket.receive_json(timeout=10)
        shared.run(lambda app: app[ACCOUNTS].remove("listener"))
        async with asyncio.timeout(10):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert socket.closed


async def test_a_new_token_ends_the_old_one_and_the_sessions(stranger: Any, shared: Any) -> None:
    old = shared.run(lambda app: app[ACCOUNTS].add("mover"))
    code = shared.run(lambda app: app[ACCOUNTS].link("mover"))
    session = shared.run(lambda app: app[ACCOUNTS].login(code))
    ways = [{"Authorization": f"Bearer {old}"}, {"Cookie": f"nodegraph_session_{shared.port}={session}"}]
    for headers in ways:
        async with stranger.get(SELF, headers=headers) as response:
            assert (await response.json())["user"] == "mover"
    new = shared.run(lambda app: app[ACCOUNTS].renew("mover"))
    for headers in ways:
        async with stranger.get(SELF, headers=headers) as response:
            await refused(response, 401)
    async with stranger.get(SELF, headers={"Authorization": f"Bearer {new}"}) as response:
        assert response.status == 200


CROSS = [
    {"Origin": "http://evil.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1:99999"},
    {"Origin": "http://[::1"},
    {"Origin": "http://" + "a" * 8192},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("sent", CROSS, ids=lambda sent: str(sent)[:50])
async def test_a_page_of_another_site_is_refused_before_its_body_is_read(shared: Any, sent: dict[str, str]) -> None:
    lines = [f"{name}: {value}" for name, value in {**shared.headers, **sent, **JSON}.items()]
    head = "\r\n".join(["POST /api/v1/jobs HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 1000000", *lines, "", ""])
    answer = await raw(shared.port, head)
    assert answer.startswith("HTTP/1.1 403")
    assert '"cross_site"' in answer


@pytest.mark.parametrize("sent", CROSS, ids=lambda sent: str(sent)[:50])
async def test_no_websocket_opens_for_a_page_of_another_site(client: Any, sent: dict[str, str]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect("/api/v1/events", headers=sent)
    assert caught.value.status == 403


async def test_no_websocket_opens_without_a_token(stranger: Any) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await stranger.ws_connect("/api/v1/events")
    assert caught.value.status == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/login?code=x", SELF, "/nothing"])
@pytest.mark.parametrize(("host", "status"), [("evil.com", 403), ("127.0.0.1.nip.io", 403), ("a b", 400), (None, 400)])
async def test_a_request_for_another_host_gets_nothing(shared: Any, path: str, host: str | None, status: int) -> None:
    named = "" if host is None else f"Host: {host}\r\n"
    answer = await raw(shared.port, f"GET {path} HTTP/1.1\r\n{named}Connection: close\r\n\r\n")
    assert answer.split()[1] == str(status)


async def raw(port: int, text: str, seconds: float = 5.0) -> str:
    """Send bytes as they are and return what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode("latin-1"))
    try:
        async with asyncio.timeout(seconds):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            return (head + await reader.readexactly(int(length[1]) if length else 0)).decode()
    finally:
        writer.close()


ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "nodegraph",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/style/base.css"),
        ("GET", "/healthz"),
        ("GET", "/nothing"),
        ("GET", SELF),
        ("GET", "/api/v1/nothing"),
        ("POST", "/api/v1/jobs"),
        ("DELETE", SELF),
        ("GET", "/login?code=x"),
        ("GET", "/openapi.json"),
        ("OPTIONS", SELF),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_every_answer_carries_the_headers(shared: Any, method: str, path: str, known: bool) -> None:
    async with (
        aiohttp.ClientSession(shared.url, headers=shared.headers if known else {}) as session,
        session.request(method, path, allow_redirects=False) as response,
    ):
        await response.read()
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    policy = response.headers["Content-Security-Policy"]
    assert {"default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert response.headers["X-Request-Id"]
    assert "Access-Control-Allow-Origin" not in response.headers
    if path.startswith("/api/"):
        assert response.headers["Cache-Control"] == "no-store"


async def test_what_is_no_http_is_refused_with_the_same_headers(shared: Any) -> None:
    answer = await raw(shared.port, "<img src=x onerror=alert(1)>\r\n\r\n")
    assert answer.split()[1] == "400"
    assert "nosniff" in answer
    assert "application/json" in answer
    assert "onerror" not in answer


async def test_cookies_of_two_servers_on_one_host_differ(shared: Any, serve: Any) -> None:
    other = await serve()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        for url, code in (
            (shared.url, shared.run(lambda app: app[ACCOUNTS].link("owner"))),
            (other.url, await other.app[ACCOUNTS].link("owner")),
        ):
            async with session.get(f"{url}/login", params={"code": code}) as response:
                assert response.status == 200
        for url in (shared.url, other.url):
            async with session.get(url + SELF) as response:
                assert response.status == 200


async def test_without_tokens_pages_of_other_sites_are_refused_all_the_same(serve: Any) -> None:
    server = await serve(open_access=True)
    async with aiohttp.ClientSession(server.url) as session:
        async with session.get(SELF) as response:
            assert response.status == 200
        async with session.get(SELF, headers={"Sec-Fetch-Site": "cross-site"}) as response:
            await refused(response, 403)
        async with session.get(SELF, headers={"Host": "evil.com"}) as response:
            await refused(response, 403)
        async with session.get(SELF, headers={"Authorization": "Bearer wrong"}) as response:
            await refused(response, 401)


async def test_sessions_end(shared: Any, stranger: Any) -> None:
    async def expired(app: aiohttp.web.Application) -> None:
        await app[STORE].add_session(digest("gone"), "owner", 1.0)

    shared.run(expired)
    async with stranger.get(SELF, headers={"Cookie": f"nodegraph_session_{shared.port}=gone"}) as response:
        await refused(response, 401)
