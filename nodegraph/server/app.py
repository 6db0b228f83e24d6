"""The application: its parts are made, put in its keys, and taken down in the opposite order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from nodegraph.server import health, metrics, static
from nodegraph.server.accounts import Accounts
from nodegraph.server.api import (
    batches,
    events,
    extensions,
    files,
    jobs,
    models,
    nodes,
    openapi,
    outputs,
    queue,
    system,
    templates,
    users,
    workflows,
)
from nodegraph.server.api.routing import ROUTES, add_routes
from nodegraph.server.files.inputs import Inputs
from nodegraph.server.files.outputs import Outputs
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
from nodegraph.server.workflows import Workflows

log = logging.getLogger(__name__)
RESOURCES = (
    jobs, batches, queue, nodes, extensions, workflows, templates, models, files, outputs, events, system, users,
)  # fmt: skip
PAGES = "/{name:(?!api/v[0-9]).+}"
"""All else is a page's name; never below `/api/v1`, where a wrong method must be told as such."""


STOPPING = 0.8
"""Part of the grace that jobs may take; the rest is for all else."""


def build(settings: Settings) -> web.Application:
    """Return the application; its parts start when it is set up and stop when it is cleaned up.

    Setting it up raises `LockedError` where another server has the data folder, `StoreError` where its store cannot
    be used.
    """
    app = web.Application(client_max_size=settings.limits.body, middlewares=[answers, guard, limits])
    app[SETTINGS] = settings
    app[ROUTES] = []
    app[METER] = Meter()
    for module in RESOURCES:
        add_routes(app, module.ROUTES, module.__name__.rpartition(".")[2])
    app.router.add_get("/openapi.json", openapi.document)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", metrics.metrics)
    app.router.add_get("/login", static.login, allow_head=False)
    app.router.add_get(extensions.FILES, extensions.file)
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
    yield
    hub.stop()


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
    app[INPUTS] = Inputs(settings, host)
    app[OUTPUTS] = Outputs(settings, app[STORE], host)
    app[WORKFLOWS] = Workflows(settings)
    yield


async def _queue(app: web.Application) -> AsyncIterator[None]:
    taker = app[QUEUE] = Queue(app[SETTINGS], app[STORE], app[HUB], app[HOST])
    try:
        await taker.start()
        yield
    finally:
        await taker.stop(0)


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
