"""The pages, health, metrics, and the form of answers that nobody planned."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from nodegraph import resources
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.server import metrics
from nodegraph.server.errors import ApiError
from nodegraph.server.security import answers
from nodegraph.server.store.errors import CursorError, StoreFullError


async def test_the_start_page_is_shown_to_anybody_and_kept_until_it_changes(stranger: Any) -> None:
    async with stranger.get("/") as response:
        assert response.content_type == "text/html"
        assert await response.text() == (resources.web() / "index.html").read_text(encoding="utf-8")
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
    async with stranger.get("/index.html", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
        assert response.headers["ETag"] == etag


async def test_the_start_page_needs_nothing_that_its_policy_forbids() -> None:
    text = (resources.web() / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<style|<script(?! type=\"module\" src=\"/)|\sstyle=|\son\w+=|https?://", text) is None


async def test_what_the_start_page_names_is_there(stranger: Any) -> None:
    text = (resources.web() / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:href|src)="(/[^"]+)"', text)
    assert {"/main.js", "/style/tokens.css"} <= set(named)
    for path in named:
        async with stranger.get(path) as response:
            assert response.status == 200, path


async def test_whoever_comes_with_an_old_link_is_told_how_to_get_another(stranger: Any) -> None:
    async with stranger.get("/login?code=old") as response:
        assert response.status == 403
        text = await response.text()
    assert "nodegraph users link owner" in text
    for path in re.findall(r'href="(/[^"]+)"', text):
        async with stranger.get(path) as response:
            assert response.status == 200, path


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/style/base.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/index.html", "text/html"),
        ("/main.js", "text/javascript"),
        ("/api/client.js", "text/javascript"),
    ],
)
async def test_files_have_the_type_of_their_name(stranger: Any, path: str, media: str) -> None:
    async with stranger.get(path) as response:
        assert (response.status, response.content_type) == (200, media)


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/%252e%252e/pyproject.toml",
        "/..%2fpyproject.toml",
        "/..%5cpyproject.toml",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/style/base.css%00.html",
        "/C:x",
        "/style/base.css/",
        "/.",
        "/__init__.py",
        "/" + "a" * 5000,
    ],
)
async def test_no_other_file_is_reached_by_a_pages_name(shared: Any, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.split()[1] in ("400", "404")
    assert "root:" not in answer
    assert "[project]" not in answer


async def test_a_path_cannot_forge_a_line_of_the_log(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "nodegraph.server.access"):
        async with client.get("/x%0a%1b[2Jforged") as response:
            assert response.status == 404
    (message,) = (record.getMessage() for record in caplog.records if "forged" in record.getMessage())
    assert message.isprintable()


async def test_a_wrong_method_is_told_with_the_right_ones(client: Any) -> None:
    async with client.delete("/api/v1/me") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET"
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_health_and_readiness_are_told_to_anybody(stranger: Any) -> None:
    async with stranger.get("/healthz") as response:
        assert await response.json() == {"status": "ok"}
    async with asyncio.timeout(30):
        while True:
            async with stranger.get("/readyz") as response:
                if response.status == 200:
                    assert await response.json() == {"status": "ready"}
                    return
                assert (response.status, await response.json()) == (503, {"status": "not ready"})
            await asyncio.sleep(0.1)


async def test_metrics_are_told_to_admins(client: Any, stranger: Any) -> None:
    async with stranger.get("/metrics") as response:
        assert response.status == 401
    async with client.get("/api/v1/nothing"), client.get("/metrics") as response:
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    assert {sample.labels["state"] for sample in families["nodegraph_jobs"].samples} >= {"queued", "done"}
    counted = {tuple(sample.labels.values()): sample.value for sample in families["nodegraph_requests"].samples}
    assert counted["GET", "/metrics", "401"] == 1
    assert "nodegraph_request_seconds" in families
    assert "nodegraph_workers" in families
    assert "process_resident_memory_bytes" in families


async def test_metrics_say_how_to_get_them_where_the_library_is_missing(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    async with client.get("/metrics") as response:
        assert response.status == 404
        assert "pip install" in (await response.json())["error"]["message"]


async def failing(error: Exception, aiohttp_client: Any) -> tuple[int, dict[str, Any]]:
    """Return what a client gets where a handler raises."""

    async def fail(_: web.Request) -> web.Response:
        raise error

    app = web.Application(middlewares=[answers.answers])
    app[metrics.METER] = metrics.Meter()
    app.router.add_get("/", fail)
    response: aiohttp.ClientResponse = await (await aiohttp_client(app)).get("/")
    return response.status, await response.json()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ApiError(418, "teapot", "short and stout"), 418, "teapot"),
        (web.HTTPForbidden(), 403, "refused"),
        (WorkflowError([Problem("unknown_type", "no such type")]), 422, "invalid_workflow"),
        (CursorError("no cursor of ours"), 400, "bad_cursor"),
        (StoreFullError("no room"), 507, "disk_full"),
        (TimeoutError(), 500, "internal"),
    ],
)
async def test_errors_have_one_form(aiohttp_client: Any, error: Exception, status: int, code: str) -> None:
    found, document = await failing(error, aiohttp_client)
    assert (found, document["error"]["code"]) == (status, code)
    assert document["error"]["message"]


async def test_what_nobody_planned_is_told_by_a_reference_alone(
    aiohttp_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    status, document = await failing(RuntimeError("/home/me/secret token=abc"), aiohttp_client)
    assert status == 500
    assert "/home" not in json.dumps(document)
    reference = document["error"]["reference"]
    record = next(record for record in caplog.records if record.exc_info)
    assert reference in record.getMessage()
