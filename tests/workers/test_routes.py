"""Routes of plugins: what is taken, what is refused, and what they answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nodegraph.engine.errors import PluginError
from nodegraph.server.errors import ApiError
from nodegraph.server.host import Host, PluginAnswer
from nodegraph.server.settings import Settings
from nodegraph.workers.routes import NoRouteError, Request, Response, Routes


def same(request: Request) -> Any:
    return {"path": request.path, **request.variables}


@pytest.mark.parametrize(
    "path",
    ["", "/", "/abs", "..", "../x", "a/../b", "a//b", "a/", "./a", "a b", "a%2e%2e", "a\\b", "C:x", "a\0b", "{A}", "é"],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    routes = Routes("x")
    with pytest.raises(PluginError, match="is refused"):
        routes.add("GET", path, same)
    with pytest.raises(PluginError, match="is refused"):
        routes.static(path, Path.cwd())
    assert len(routes) == 0
    assert len(routes.refused) == 2


def test_a_route_that_is_taken_is_refused_and_the_first_stays() -> None:
    routes = Routes("x")
    routes.add("GET", "a/{name}", same)
    with pytest.raises(PluginError, match="another route"):
        routes.add("GET", "a/{other}", lambda request: "other")
    routes.add("POST", "a/{name}", lambda request: b"posted")
    assert routes.answer(Request(method="GET", path="a/b")).body == b'{"path": "a/b", "name": "b"}'
    assert routes.answer(Request(method="POST", path="a/b")) == Response(body=b"posted")


def test_a_method_that_is_none_is_refused() -> None:
    with pytest.raises(PluginError, match="CONNECT"):
        Routes("x").add("CONNECT", "a", same)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "b"), ("PUT", "a/b"), ("GET", "a/b/c"), ("GET", "a/"), ("GET", "")]
)
def test_what_no_route_answers_is_not_found(method: str, path: str) -> None:
    routes = Routes("x")
    routes.add("GET", "a/{name}", same)
    with pytest.raises(NoRouteError):
        routes.answer(Request(method=method, path=path))


def test_files_of_a_folder_are_served_and_none_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "served"
    root.mkdir()
    (root / "x.css").write_text("a{}")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "served2").mkdir()
    (tmp_path / "served2" / "y").write_text("s")
    (root / "link").symlink_to(tmp_path / "secret")
    routes = Routes("x")
    routes.static("icons", root)
    assert routes.answer(Request(method="GET", path="icons/x.css")) == Response(body=b"a{}", media="text/css")
    for name in ("../secret", "../served2/y", "link", "/etc/passwd", "none", ".", "x\0y", "../served/../secret"):
        with pytest.raises(NoRouteError):
            routes.answer(Request(method="GET", path=f"icons/{name}"))


@pytest.mark.parametrize("folder", ["relative", "/nowhere/at/all", "/tmp/../etc"])
def test_a_folder_that_is_none_is_refused(folder: str) -> None:
    with pytest.raises(PluginError, match="is refused"):
        Routes("x").static("icons", folder)


async def test_hook_register_routes(settings: Settings) -> None:
    host = Host(settings, lambda: None)
    await host.start()
    try:
        answer = await host.plugin_route("good", "GET", "divide/47", query={"by": "5"})
        assert answer == PluginAnswer(200, "application/json", b'{"quotient": 9, "remainder": 2}')
        answer = await host.plugin_route("good", "POST", "echo", body=b"\x00\xff")
        assert answer == PluginAnswer(201, "text/plain", b"\x00\xff")
        answer = await host.plugin_route("good", "GET", "own/__init__.py")
        assert b"as somebody else would write it" in answer.body
        answer = await host.plugin_route("good", "GET", "divide/x")
        assert answer.status == 500
        assert b"Traceback" not in answer.body
        for plugin, path in (("good", "none"), ("none", "x"), ("good", "own/../../nodegraph_faults/pyproject.toml")):
            with pytest.raises(ApiError) as caught:
                await host.plugin_route(plugin, "GET", path)
            assert caught.value.status == 404
        (good,) = [plugin for plugin in (await host.refresh()).document["plugins"] if plugin["name"] == "good"]
        assert (good["state"], good["routes"]) == ("loaded", 4)
        assert "../escape" in good["refused"][0]
    finally:
        await host.stop()


async def test_routes_that_hang_hold_up_nothing_else_and_are_ended(settings: Settings) -> None:
    host = Host(settings, lambda: None)
    host.call_seconds = 3.0
    await host.start()
    try:
        await host.refresh()
        first = host.pid
        asked = [host.plugin_route("good", "GET", "sleep", query={"seconds": "60"}) for _ in range(6)]
        hanging = [asyncio.create_task(question) for question in asked]
        await asyncio.sleep(0.2)
        assert "KSampler" in (await host.refresh()).document["nodes"]
        assert host.pid == first
        ends = await asyncio.gather(*hanging, return_exceptions=True)
        assert {end.status for end in ends if isinstance(end, ApiError)} == {503}
        assert len([end for end in ends if isinstance(end, ApiError)]) == 6
        answer = await host.plugin_route("good", "GET", "divide/47")
        assert answer.status == 200
        assert host.pid != first
    finally:
        await host.stop()


async def test_hook_encode_preview(worker: Any) -> None:
    await worker.run({"show": {"type": "good.Show", "params": {"number": 34}}}, previews=True)
    (header, data), *_ = worker.tells("preview")
    assert (header["node"], header["media"], header["width"], header["height"]) == ("show", "image/png", 4, 5)
    assert data.startswith(b"\x89PNG")
