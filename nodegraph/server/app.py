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
from nodegraph.server.host import Host
from nodegraph.server.hub import Hub
from nodegraph.server.keys import ACCOUNTS, HOST, HUB, INPUTS, OUTPUTS, QUEUE, SETTINGS, STORE, WORKFLOWS
from nodegraph.server.locking import FolderLock
from nodegraph.server.metrics import METER, Meter
from nodegraph.server.queue import Queue
from nodegraph.server.security.answers import answers
from nodegraph.server.security.guard import guard, set_public
from nodegraph.server.security.headers import add_headers
from nodegraph.server.security.limits import limits, set_limits
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store
from nodegraph.server.webhooks import Webhooks

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


STOPPING = 0.8
"""Part of the grace that jobs may take; the rest is for all else."""


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
    app.on_shutdown.append(_stop_working)
    app.cleanup_ctx.extend((_folder, _store, _events, _host, _files, _queue, _webhooks))
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
    calls = Webhooks(app[SETTINGS], app[STORE])
    await calls.start()
    yield
    hub.stop()
    await calls.stop()


async def _host(app: web.Application) -> AsyncIterator[None]:
    hub = app[HUB]

    def changed() -> None:
        hub.publish("nodes.changed", {}, user=None)

    host = app[HOST] = Host(app[SETTINGS], changed)
    await host.start()
    yield
    await host.stop()


async def _files(app: web.Application) -> AsyncIterator[None]:
    settings, host = app[SETTINGS], app[HOST]
    if (inputs := _part("files.inputs")) is not None:
        app[INPUTS] = inputs.Inputs(settings, host)
    if (outputs := _part("files.outputs")) is not None:
        app[OUTPUTS] = outputs.Outputs(settings, app[STORE], host)
    if (workflows := _part("workflows")) is not None:
        app[WORKFLOWS] = workflows.Workflows(settings)
    yield


async def _queue(app: web.Application) -> AsyncIterator[None]:
    try:
        queue = app[QUEUE] = Queue(app[SETTINGS], app[STORE], app[HUB], app[HOST])
    except NotImplementedError:
        yield
        return
    try:
        await queue.start()
        yield
    finally:
        await queue.stop(0)


async def _webhooks(app: web.Application) -> AsyncIterator[None]:
    webhooks = Webhooks(app[SETTINGS], app[STORE])
    await webhooks.start()
    yield
    await webhooks.stop()


async def _stop_working(app: web.Application) -> None:
    """Let running jobs end or go back into the queue while clients can still see it, then end their streams."""
    if QUEUE in app:
        await app[QUEUE].stop(app[SETTINGS].grace * STOPPING)
    app[HUB].stop()
