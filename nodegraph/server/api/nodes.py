"""`/nodes` and `/plugins`: what workflows can be made of, and what plugins answer themselves."""

from __future__ import annotations

import json
from typing import Any, Literal

from aiohttp import web

from nodegraph.server.api.routing import BINARY, Model, Query, Route, respond
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.keys import HOST, SETTINGS
from nodegraph.server.security.principal import principal


class NodesQuery(Query):
    """`fresh`: look into the folders of models and pictures again, whatever is known."""

    fresh: bool = False


class NodesAnswer(Model):
    """The node types by id, each as the JSON Schema of its entry in a workflow; `stale`: as the last run knew them.

    `fits`: for each type of an output, the types of inputs that it fits, as it is (`whole`) or item by item (`each`).
    """

    stale: bool
    nodes: dict[str, dict[str, Any]]
    fits: dict[str, dict[str, Literal["whole", "each"]]]


class PluginsAnswer(Model):
    """What became of each plugin; `skipped`: those that are left out since their import hung or crashed, and why."""

    stale: bool
    plugins: list[dict[str, Any]]
    skipped: dict[str, str]


async def index(request: web.Request, query: NodesQuery) -> web.Response:
    """List the node types."""
    host = request.app[HOST]
    catalogue = await (host.refresh() if query.fresh else host.known())
    etag = catalogue.etag if catalogue.fresh else f"{catalogue.etag}-stale"
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
    if any(tag.value in (etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    told = {name: catalogue.document.get(name, {}) for name in ("nodes", "fits")}
    text = json.dumps({"stale": not catalogue.fresh, **told}, separators=(",", ":"))
    return web.Response(text=text, content_type="application/json", headers=headers)


async def show(request: web.Request) -> web.Response:
    """Return the JSON Schema of a node type, also by an older name of it."""
    catalogue = await request.app[HOST].known()
    id = request.match_info["id"]
    schema = catalogue.document["nodes"].get(id)
    for other in catalogue.document["nodes"].values() if schema is None else ():
        if id in other["properties"]["type"]["enum"]:
            schema = other
    if schema is None:
        raise not_found(f"node type {id[:100]!r}")
    return web.json_response(schema)


async def plugins(request: web.Request) -> web.Response:
    """List the plugins."""
    catalogue = await request.app[HOST].known()
    found = catalogue.document["plugins"]
    skipped = dict(request.app[HOST].skipped)
    return respond(PluginsAnswer(stale=not catalogue.fresh, plugins=found, skipped=skipped))


async def plugin(request: web.Request) -> web.Response:
    """Have a plugin answer."""
    if request.content_length is not None and request.content_length > request.app[SETTINGS].limits.body:
        raise ApiError(413, "too_large", "the body is too long for a plugin")
    answer = await request.app[HOST].plugin_route(
        request.match_info["plugin"],
        request.method,
        request.match_info["path"],
        query=dict(request.query),
        body=await request.read(),
        media=request.content_type,
        user=principal(request).user,
    )
    return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.media})


LATER = {503: "The process that knows them is being started"}
ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/nodes",
        index,
        "List the node types; If-None-Match is heeded",
        query=NodesQuery,
        answer=NodesAnswer,
        errors={304: "As known", **LATER},
    ),
    Route("GET", "/nodes/{id}", show, "Return the JSON Schema of a node type", errors=LATER),
    Route("GET", "/plugins", plugins, "List the plugins", answer=PluginsAnswer, errors=LATER),
    *(
        Route(
            method,
            "/plugins/{plugin}/{path:.+}",
            plugin,
            "Ask a plugin, which answers as it likes",
            media="*/*",
            takes=BINARY if method in ("POST", "PUT", "PATCH") else "application/json",
            errors={413: "The body is too long", **LATER},
        )
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
)
