"""`/extensions`: what plugins add to the editor; the files themselves are pages, below `/extensions/` of the server."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from nodegraph.server.api.routing import Model, Route
from nodegraph.server.errors import not_found
from nodegraph.server.keys import HOST

FILES = "/extensions/{plugin}/{path:.+}"


class Extension(Model):
    """A module that the editor loads, of a plugin of some version; its address is one of this server."""

    plugin: str
    version: str
    module: str


class ExtensionList(Model):
    """All of them, in the order in which the plugins were loaded."""

    extensions: list[Extension]


async def index(request: web.Request) -> ExtensionList:
    """List the modules."""
    document = (await request.app[HOST].known()).document
    versions = {plugin["name"]: str(plugin["version"]) for plugin in document["plugins"]}
    return ExtensionList(
        extensions=[
            Extension(plugin=name, version=versions.get(name, ""), module=f"/extensions/{quote(name)}/{quote(module)}")
            for name, part in document.get("web", {}).items()
            for module in part["modules"]
        ]
    )


async def file(request: web.Request) -> web.Response:
    """Send a file that a plugin ships for the editor; no other name reaches the plugin's package."""
    plugin, path = request.match_info["plugin"], request.match_info["path"]
    host = request.app[HOST]
    parts: dict[str, Any] = (await host.known()).document.get("web", {})
    etag = parts.get(plugin, {}).get("files", {}).get(path)
    if etag is None:
        raise not_found("file of that name among what plugins add")
    headers = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: "private, no-cache"}
    if any(tag.value in (etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    media, data = await host.web_file(plugin, path)
    charset = "utf-8" if media.startswith("text/") else None
    return web.Response(body=data, content_type=media, charset=charset, headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/extensions",
        index,
        "List the modules that plugins add to the editor",
        answer=ExtensionList,
        errors={503: "The process that knows them is being started"},
    ),
)
