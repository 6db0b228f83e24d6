"""`/events`: what happens, as it happens; `/webhooks`: how the server calls others, for admins."""

from __future__ import annotations

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BeforeValidator, Field

from nodegraph.server.api.routing import Model, Query, Route
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import HUB, QUEUE, SETTINGS, STORE
from nodegraph.server.security.principal import principal
from nodegraph.server.streams import server_sent, websocket
from nodegraph.server.webhooks import secret


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class EventsQuery(Query):
    """What a stream begins with."""

    since: Annotated[str, Field(max_length=100)] | None = None
    """`epoch:seq` of the last event that was seen."""
    previews: bool = False
    """Whether previews are sent; over websockets only."""
    job: Annotated[list[Annotated[str, Field(max_length=100)]], BeforeValidator(_several)] = Field([], max_length=100)
    """Only events of these jobs; may be given several times."""
    all: bool = False
    """Events of all users; for admins."""


class WebhooksAnswer(Model):
    """Which hosts webhooks may call, and the secret that their signatures are made with."""

    hosts: list[str]
    secret: str


async def events(request: web.Request, query: EventsQuery) -> web.StreamResponse:
    """Open a stream: a websocket where one is asked for, else server-sent events."""
    who = principal(request)
    if query.all and not who.admin:
        raise ApiError(403, "not_admin", "only an admin may see the events of all users")
    upgrade = request.headers.get("Upgrade", "").strip().lower() == "websocket"
    since = query.since if upgrade else request.headers.get("Last-Event-ID", query.since)
    hub, snapshot = request.app[HUB], request.app[QUEUE].snapshot
    stream = hub.subscribe(
        who, since, everything=query.all, previews=query.previews and upgrade, jobs=query.job or None
    )
    try:
        return await (websocket if upgrade else server_sent)(request, hub, stream, snapshot)
    finally:
        stream.close()


async def webhooks(request: web.Request) -> WebhooksAnswer:
    """Tell what a receiver needs to check signatures."""
    return WebhooksAnswer(hosts=list(request.app[SETTINGS].webhooks), secret=await secret(request.app[STORE]))


ROUTES: Final = [
    Route(
        "GET",
        "/events",
        events,
        "Follow what happens: websocket or server-sent events",
        query=EventsQuery,
        media="text/event-stream",
        errors={101: "The stream goes on as a websocket", 503: "Too many streams, or the server stops"},
    ),
    Route("GET", "/webhooks", webhooks, "Tell how webhooks are signed", answer=WebhooksAnswer, admin=True),
]
