"""Rows 9 to 18, 25, 40 of the attack list: who asks, from where, and what bodies hold, tried on every route."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nodegraph.server.keys import ACCOUNTS
from tests.server.attacks.wire import API, JSON, Wire, node

OPEN = {"/healthz", "/readyz", "/login", "/", "/{name}"}
BODY = re.compile(r"\{[^}]+\}")


@pytest.fixture(scope="module")
def routes(shared: Any) -> list[tuple[str, str]]:
    """Return method and path of every route there is, `{}` in its path filled in."""

    async def listed(app: Any) -> list[tuple[str, str]]:
        return [(route.method, route.resource.canonical) for route in app.router.routes()]

    found: list[tuple[str, str]] = shared.run(listed)
    assert len(found) > 50
    return found


def filled(path: str) -> str:
    return BODY.sub("1", path)


FOREIGN = {
    "row9 evil": "Origin: http://evil.com",
    "row9 null": "Origin: null",
    "row9 cross-site": "Sec-Fetch-Site: cross-site",
    "row9 same-site": "Sec-Fetch-Site: same-site",
    "row9 other port": "Origin: http://127.0.0.1:1",
    "row13 no port": "Origin: http://127.0.0.1:99999",
    "row13 no host": "Origin: http://[::1",
    "row13 long": "Origin: http://" + "a" * 8192,
    "row13 bytes": "Origin: http://\udcff\udcfe",
    "row13 empty": "Origin:",
}


@pytest.mark.parametrize("header", FOREIGN.values(), ids=list(FOREIGN))
def test_no_route_answers_a_foreign_page(wire: Wire, routes: list[tuple[str, str]], header: str) -> None:
    for method, path in routes:
        answer = wire.send(method, filled(path), headers=[header, "Content-Length: 1000000", *JSON])  # never sent
        assert answer.status == 403, (method, path, answer)
        assert method == "HEAD" or answer.code == "cross_site"


@pytest.mark.parametrize("header", FOREIGN.values(), ids=list(FOREIGN))
@pytest.mark.parametrize("token", ["", None])
def test_row12_no_stream_opens_for_a_foreign_page(wire: Wire, header: str, token: str | None) -> None:
    upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    for headers in ([*upgrade, "Connection: Upgrade"], ["Accept: text/event-stream"]):
        answer = wire.get(f"{API}/events", headers=[*headers, header], token=token)
        assert answer.status == 403
        assert answer.code == "cross_site"


HOSTS = ["evil.com", "127.0.0.1.nip.io", "localhost.evil.com", "127.0.0.1@evil.com", "", "[::1", "127.0.0.1:99999"]


@pytest.mark.parametrize("host", HOSTS, ids=[f"row11 {host}" for host in HOSTS])
def test_no_route_answers_under_another_name(wire: Wire, routes: list[tuple[str, str]], host: str) -> None:
    for method, path in routes:
        assert wire.send(method, filled(path), host=host).status in (400, 403), (method, path)


def test_row11_two_hosts_or_an_address_in_the_request_line_change_nothing(wire: Wire) -> None:
    assert wire.get(f"{API}/me", headers=["Host: evil.com"]).status == 400
    assert wire.get(f"http://evil.com{API}/me").status in (200, 400, 403)  # what counts is Host, as for any proxy
    assert wire.get(f"http://127.0.0.1{API}/me", host="evil.com").status == 403
    assert wire.get(f"{API}/me", host="evil.com", headers=["X-Forwarded-Host: 127.0.0.1"]).status == 403


@pytest.mark.parametrize("token", [None, "wrong", "Basic", "' OR 1=1 --", "x" * 8000])
def test_row14_every_route_that_is_not_a_page_asks_for_the_token(
    wire: Wire, routes: list[tuple[str, str]], token: str | None
) -> None:
    for method, path in routes:
        if path not in OPEN:
            answer = wire.send(method, filled(path), token=token, headers=["Content-Length: 100000", *JSON])
            assert answer.status == 401, (method, path, answer)
            assert wire.token not in str(answer)


def test_row14_a_token_in_an_address_opens_nothing(wire: Wire, routes: list[tuple[str, str]]) -> None:
    for method, path in routes:
        if path not in OPEN:
            for name in ("token", "access_token", "code"):
                assert wire.send(method, f"{filled(path)}?{name}={wire.token}", token=None).status == 401


def test_row14_a_token_is_compared_by_its_hash(wire: Wire) -> None:
    """A wrong token takes as long whatever of it is right: what is looked up is its digest."""

    def seconds(token: str) -> float:
        began = time.perf_counter()
        for _ in range(40):
            assert wire.get(f"{API}/me", token=token).status == 401
        return time.perf_counter() - began

    near, far = f"{wire.token[:-1]}!", "!" + wire.token[1:]
    times = [(seconds(near), seconds(far)) for _ in range(3)]
    assert min(min(pair) for pair in times) > 0
    assert min(near for near, _ in times) < 3 * min(far for _, far in times)


TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
         "application/json-patch+json", "text/json", "application/csp-report", ""]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=[f"row10 {kind}" for kind in TYPES])
def test_no_route_takes_json_of_another_type(wire: Wire, kind: str) -> None:
    paths = wire.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if list(content) == ["application/json"]:
                headers = [f"Content-Type: {kind}"] if kind else []
                answer = wire.send(method.upper(), filled(path), b"{}", [*headers, "If-None-Match: *"])
                assert answer.status == 415 or (answer.status == 404 and "{" in path), (method, path, answer)
                asked += answer.status == 415
    assert asked >= 8


ENCODED = ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "GZIP", "identity, gzip"]


@pytest.mark.parametrize("encoding", ENCODED, ids=[f"row16 {encoding}" for encoding in ENCODED])
def test_no_compressed_body_is_unpacked(wire: Wire, encoding: str) -> None:
    headers = [f"Content-Encoding: {encoding}", *JSON]
    for method, path in (("POST", "/jobs"), ("POST", "/files?name=x.png"), ("PUT", "/workflows/x"), ("GET", "/me")):
        assert wire.send(method, API + path, b"\x1f\x8b\x08\x00" + bytes(50), headers).code == "encoded_body"


SMUGGLED = {
    "two lengths": ["Content-Length: 2", "Content-Length: 20"],
    "length and chunks": ["Content-Length: 20", "Transfer-Encoding: chunked"],
    "chunks twice": ["Transfer-Encoding: chunked, chunked"],
    "other coding": ["Transfer-Encoding: gzip, chunked"],
    "negative": ["Content-Length: -1"],
    "hexadecimal": ["Content-Length: 0x10"],
    "plus": ["Content-Length: +2"],
    "digits": ["Content-Length: " + "9" * 50],
    "space before colon": ["X-A : b"],
    "folded": ["X-A: b\r\n c"],
    "bare NUL": ["X-A: b\0c"],
    "many": [f"X-{index}: a" for index in range(2000)],
    "long": ["X-A: " + "a" * 200_000],
}


@pytest.mark.parametrize("headers", SMUGGLED.values(), ids=[f"row16 {name}" for name in SMUGGLED])
def test_no_request_hides_in_another(wire: Wire, headers: list[str]) -> None:
    tail = b"0\r\n\r\nGET /api/v1/users HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = ["POST /api/v1/jobs/check HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {wire.token}", *JSON]
    answer = wire.raw("\r\n".join([*head, *headers, "", ""]).encode() + tail, method="POST")
    assert answer.status in (0, 400, 413, 415), answer


def endless_chunks(wire: Wire, target: str) -> int:
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {wire.token}\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    return wire.raw(
        f"{head}{JSON[0]}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk * 160, method="POST"
    ).status


def test_row16_a_body_in_chunks_ends_at_the_limit(wire: Wire) -> None:
    assert endless_chunks(wire, f"{API}/jobs") in (413, 0)
    answer = wire.send("POST", f"{API}/jobs", headers=["Content-Length: 1000000000", *JSON])
    assert (answer.status, answer.code) == (413, "too_large")


JUNK = {
    "row17 depth": (b"[" * 100_000, "line 1, column 101"),
    "row17 depth of objects": (b'{"a":' * 100_000, "line 1, column"),
    "row17 digits": (b'{"workflow": ' + b"9" * 5000 + b"}", "line 1, column 14"),
    "row17 NaN": (b'{"workflow": {"a": NaN}}', "line 1, column 20"),
    "row17 -Infinity": (b'{"workflow":\n -Infinity}', "line 2, column 2"),
    "row17 infinite": (b'{"workflow": {"a": 1e999}}', "workflow.a"),
    "row17 duplicate key": (b'{"workflow": {"a": 1, "a": 2}}', "line 1, column 23"),
    "row17 surrogate": (b'{"workflow": {"a": "\\ud800"}}', "workflow.a"),
    "row17 surrogate key": (b'{"workflow": {"\\udfff": 1}}', "workflow"),
    "row17 trailing": (b'{"workflow": {}} x', "line 1, column 18"),
    "row17 two": (b"{}{}", "line 1, column 3"),
    "row17 UTF-16": ("{}".encode("utf-16"), "line 1"),
    "row17 Latin-1": (b'{"workflow": "\xe9"}', "line 1"),
    "row17 overlong": (b'{"workflow": "\xc0\xae"}', "line 1"),
    "row17 empty": (b"", "line 1"),
    "row17 65 bits": (b'{"workflow": {}, "priority": 18446744073709551616}', "priority"),
    "row17 NUL": (b'{"workflow": \0}', "line 1, column 14"),
}


@pytest.mark.parametrize(("data", "place"), JUNK.values(), ids=list(JUNK))
def test_what_is_no_json_is_refused_by_its_place(wire: Wire, data: bytes, place: str) -> None:
    for path in ("/jobs", "/jobs/check", "/batches", "/users"):
        answer = wire.send("POST", API + path, data, JSON)
        assert answer.status == 400, (path, answer)
        problem = json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))["error"]["problems"][0]
        assert place in f"{problem['message']} {problem.get('field')}", problem
        assert len(answer.body) < 2000


def test_row17_a_byte_order_mark_is_let_pass(wire: Wire) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"workflow": {"format": 1, "nodes": {}}}).encode()
    assert wire.send("POST", f"{API}/jobs/check", body, JSON).status == 200
    assert wire.send("POST", f"{API}/jobs/check", b"\xef\xbb\xbf" * 2 + body, JSON).status == 400


def many(count: int) -> dict[str, Any]:
    return {"format": 1, "nodes": {f"n{index}": {"type": "a"} for index in range(count)}}


HUGE = {
    "row18 a million nodes": lambda: many(1_000_000),
    "row18 50 000 nodes": lambda: many(50_000),
    "row18 10 001 nodes": lambda: many(10_001),
    "row18 50 000 links": lambda: {
        "format": 1,
        "nodes": {"n": {"type": "faults.Add", "links": {f"k{index}": "x.out" for index in range(50_000)}}},
    },
    "row18 100 000 keys": lambda: {
        "format": 1, "nodes": {"n": node("faults.Add", **{f"k{n}": n for n in range(100_000)})}
    },
    "row18 10 MB of text": lambda: {"format": 1, "nodes": {"n": node("faults.Text", text="x" * 10_000_000)}},
    "row18 7 MB of a type": lambda: {"format": 1, "nodes": {"n": {"type": "x" * 7_000_000}}},
    "row18 7 MB of an id": lambda: {"format": 1, "nodes": {"x" * 7_000_000: {"type": "a"}}},
    "row18 subgraphs in subgraphs": lambda: {
        "format": 1, "nodes": {"n": {"graph": "g0"}},
        "subgraphs": {f"g{n}": {"nodes": {"a": {"graph": f"g{n + 1}"}, "b": {"graph": f"g{n + 1}"}}} for n in range(30)}
        | {"g30": {"nodes": {"n": node("faults.Add", a=1)}}},
    },
}  # fmt: skip


@contextmanager
def others(wire: Wire) -> Iterator[list[float]]:
    """Ask for something small again and again meanwhile; give the seconds that each took."""
    found: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            began = time.perf_counter()
            wire.get("/healthz", token=None)
            found.append(time.perf_counter() - began)
            done.wait(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    yield found
    done.set()
    thread.join()


@pytest.mark.parametrize("make", HUGE.values(), ids=list(HUGE))
def test_far_too_much_is_refused_with_its_limit_while_others_are_served(wire: Wire, make: Any) -> None:
    data = json.dumps({"workflow": make()}).encode()
    with others(wire) as times:
        answer = wire.send("POST", f"{API}/jobs", data, JSON, seconds=60)
    assert answer.status in (413, 422), answer.text[:500]
    assert len(answer.body) < 100_000
    if b"nodes" in answer.body:
        assert answer.status == 413 or "10000" in answer.text or answer.json()["error"]["problems"]
    assert max(times, default=0.0) < 2.0


@pytest.mark.parametrize("text", ["(a+)+$", "%22 OR 1=1", "*", "NEAR(", "a" * 190 + "!", "%_%", "\\", "%00", "%ff"])
def test_row25_what_is_searched_for_is_text_and_no_pattern(wire: Wire, text: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in text.encode())
    for path in (
        "/jobs?text=",
        "/files?text=",
        "/workflows?text=",
        "/jobs?cursor=",
        "/outputs?cursor=",
        "/outputs?job=",
    ):
        began = time.perf_counter()
        assert wire.get(API + path + quoted).status in (200, 400, 422)
        assert time.perf_counter() - began < 1


def test_row40_what_is_another_users_looks_as_if_it_was_not_there(wire: Wire, shared: Any) -> None:
    token = shared.run(lambda app: app[ACCOUNTS].add("mallory"))
    job = wire.job({"a": node("faults.Save", text="x", filename_prefix="row40")})
    text = {"format": 1, "nodes": {"a": node("faults.Text", text="x")}, "inputs": {"text": "a.text"}}
    batch = wire.post(f"{API}/batches", {"workflow": text, "over": {"zip": {"text": ["a", "b"]}}}).json()
    output = job["outputs"][0]["id"]
    ids = [job["id"], batch["id"], output]
    assert all(
        re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", id) for id in ids
    )  # uuid4: not to be guessed
    named = {"jobs": job["id"], "batches": batch["id"], "outputs": output}
    paths = wire.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        found = re.match(rf"{API}/(\w+)/{{id}}", path)
        for method in methods if found and found[1] in named else ():
            target = path.replace("{id}", named[found[1]]) if found else path
            answer = wire.send(method.upper(), target, b"{}", JSON, token=token)
            gone = wire.send(method.upper(), target.replace(target.split("/")[4], "0" * 32), b"{}", JSON, token=token)
            assert answer.status == gone.status == (404 if answer.status != 422 else 422), (method, target, answer)
            asked += 1
    assert asked > 10
    assert wire.get(f"{API}/jobs/{job['id']}").json()["state"] == "done"
    assert wire.get(f"{API}/outputs/{output}").status == 200
