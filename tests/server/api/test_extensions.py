"""`/extensions`: the modules of plugins, served as pages of this server and of nobody else's."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

STARS = "/extensions/good/stars.js"


async def test_hook_register_web(api: Any, client: aiohttp.ClientSession) -> None:
    found = (await api.json("GET", "/extensions"))["extensions"]
    assert {"plugin": "good", "version": "1.2.0", "module": STARS} in found
    async with client.get(STARS) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert "customElements.define" in await response.text()
        tag = response.headers["ETag"]
    async with client.get(STARS, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    async with client.get("/extensions/good/parts/star.js") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "good/notes.txt",
        "good/none.js",
        "good/../__init__.py",
        "good/%2e%2e/__init__.py",
        "good/",
        "none/stars.js",
        "good",
    ],
)
async def test_nothing_else_of_a_package_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(f"/extensions/{path}") as response:
        assert response.status == 404
        assert b"hookimpl" not in await response.read()


async def test_strangers_get_none(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get(STARS) as response:
        assert response.status == 401


async def test_what_is_refused_is_told(api: Any) -> None:
    plugins = {plugin["name"]: plugin for plugin in (await api.json("GET", "/plugins"))["plugins"]}
    assert any("'none.js' is refused" in reason for reason in plugins["good"]["refused"])
    schema = await api.json("GET", "/nodes/good.Rate")
    assert schema["properties"]["params"]["properties"]["stars"]["x-widget"] == "good-stars"
