"""`/healthz` and `/readyz`: for whoever watches the process. They are open to all and tell nothing but yes or no."""

from __future__ import annotations

from aiohttp import web

from nodegraph.server.keys import QUEUE


async def healthz(_: web.Request) -> web.Response:
    """Answer that the process lives and is not stuck."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether a job that is submitted now would be run."""
    if request.app[QUEUE].ready:
        return web.json_response({"status": "ready"})
    return web.json_response({"status": "not ready"}, status=503, headers={"Retry-After": "1"})
