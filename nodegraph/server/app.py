"""The application: its parts are made, put in its keys, and taken down in the opposite order."""

from __future__ import annotations

import importlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from nodegraph.server import health, metrics, static
from nodegraph.server.accounts import Accounts
from nodegraph.server.api.routing import ROUTES, add_routes
from nodegraph.server.hub import Hub
from nodegraph.server.keys import ACCOUNTS, HOST, HUB, INPUTS, OUTPUTS, QUEUE, SETTINGS, STORE, WORKFLOWS
from nodegraph.server.locking import FolderLock
from nodegraph.server.metrics import METER, Meter
from nodegraph.server.security.answers import answers
from nodegraph.server.security.guard import guard, set_public
from nodegraph.server.security.headers import add_headers
from nodegraph.server.security.limits import limits, set_limits
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store

log = logging.getLogger(__name__)
RESOURCES = (
    "jobs",
    "batches",
    "queue",
    "nodes",
    "workflows",
    "templates",
    "models",
    "files",
    "outputs",
    "events",
    "system",
    "users",
)
PAGES = "/{name:(?!api/).+}"
"""All else is a page's name; never below `/api/`, where a wrong method must be told as such."""


def _part(name: str) -> Any:
    try:
        return importlib.import_module(f"nodegraph.server.{name}")
    except ImportError as error:
        log.warning("left out: %s", error)
        return None


def build(settings: Settings) -> web.Application:
    """Return the application; its parts start when it is set up and stop when it is cleaned up.

    Setting it up raises `LockedError` where another server has the data folder, `StoreError` where its store cannot
    be used.
    """
    app = web.Application(client_max_size=settings.limits.body, middlewares=[answers, guard, limits])
    app[SETTINGS] = settings
    app[ROUTES] = []
    app[METER] = Meter()
    for name in RESOURCES:
        if (module := _part(f"api.{name}")) is not None and hasattr(module, "ROUTES"):
            add_routes(app, module.ROUTES, name)
    if (openapi := _part("api.openapi")) is not None:
        app.router.add_get("/openapi.json", openapi.document)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", metrics.metrics)
    app.router.add_get("/login", static.login, allow_head=False)
    app.router.add_get("/", static.page)
    app.router.add_get(PAGES, static.page)
    set_public(app, *(("GET", path) for path in ("/healthz", "/readyz", "/login", "/", "/{name}")))
    set_limits(app)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.extend((_folder, _store, _events, _jobs))
    return app


async def _folder(app: web.Application) -> AsyncIterator[None]:
    with FolderLock(app[SETTINGS].data):
        yield


async def _store(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    store = app[STORE] = await Store.open(settings.data)
    if store.notice:
        log.warning("%s", store.notice)
    try:
        accounts = app[ACCOUNTS] = Accounts(store, settings.token)
        await accounts.open()
        yield
    finally:
        await store.close()


async def _events(app: web.Application) -> AsyncIterator[None]:
    hub = app[HUB] = Hub(app[SETTINGS].limits)
    app[ACCOUNTS].on_revoked.append(hub.dismiss)
    yield
    hub.stop()


async def _jobs(app: web.Application) -> AsyncIterator[None]:
    settings, store, hub = app[SETTINGS], app[STORE], app[HUB]

    def changed() -> None:
        hub.publish("nodes.changed", {}, user=None)

    host = app[HOST] = _part("host").Host(settings, changed)
    await host.start()
    if (inputs := _part("files.inputs")) is not None:
        app[INPUTS] = inputs.Inputs(settings, host)
    if (outputs := _part("files.outputs")) is not None:
        app[OUTPUTS] = outputs.Outputs(settings, store, host)
    if (workflows := _part("workflows")) is not None:
        app[WORKFLOWS] = workflows.Workflows(settings)
    try:
        queue = app[QUEUE] = _part("queue").Queue(settings, store, hub, host)
        await queue.start()
    except NotImplementedError:
        queue = None
    yield
    if queue is not None:
        await queue.stop(0)
    await host.stop()


async def _end_streams(app: web.Application) -> None:
    """Let running jobs end or go back into the queue while clients can still see it, then end their streams."""
    if QUEUE in app:
        await app[QUEUE].stop(app[SETTINGS].grace * 0.8)
    app[HUB].stop()
