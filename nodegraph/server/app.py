"""The application: its parts are made, put in its keys, and taken down in the opposite order."""

from __future__ import annotations

from aiohttp import web

from nodegraph.server.api.routing import ROUTES
from nodegraph.server.keys import SETTINGS
from nodegraph.server.settings import Settings


def build(settings: Settings) -> web.Application:
    """Return the application; its parts start when it is set up and stop when it is cleaned up."""
    app = web.Application(client_max_size=settings.limits.body)
    app[SETTINGS] = settings
    app[ROUTES] = []
    return app
