"""The gate that each request passes before anything is read of its body: which host, which page, who."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from nodegraph.server.api.routing import API, ROUTES, Route
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import ACCOUNTS, SETTINGS
from nodegraph.server.security.origins import check_host, check_site
from nodegraph.server.security.principal import KEY, OWNER, Principal
from nodegraph.server.settings import Settings

NO_TOKEN: Final = "a token is needed: send it as `Authorization: Bearer ...`, or open a link of `nodegraph users link`"
UNKNOWN_TOKEN: Final = (
    "nobody has this token: the owner's is a new one at each start, and `nodegraph users token NAME` makes another"
)
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
PUBLIC: Final = web.AppKey("PUBLIC", set[tuple[str, str]])
"""Methods and paths (as they were registered) that are open to everybody who may reach the server."""


def registered(route: Route) -> tuple[str, str]:
    """Return a route's method and path as the router names it: `/files/{name}` for `/files/{name:.+}`."""
    return route.method, re.sub(r"\{(\w+):[^{}]+\}", r"{\1}", API + route.path)


def session_cookie(settings: Settings) -> str:
    """Return the cookie's name: cookies do not tell ports apart, and two servers may run on one machine."""
    return f"nodegraph_session_{settings.port}"


def set_public(app: web.Application, *routes: tuple[str, str]) -> None:
    """Ask nobody for a token on these routes, nor on those of the API that are marked so."""
    public = {*routes, *(registered(route) for route in app[ROUTES] if route.public)}
    app[PUBLIC] = public | {(hdrs.METH_HEAD, path) for method, path in public if method == hdrs.METH_GET}


@web.middleware
async def guard(request: web.Request, handler: Next) -> web.StreamResponse:
    """Let a request through that names our host, comes from no foreign page, and from somebody known."""
    check_host(request, request.app[SETTINGS])
    check_site(request)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise ApiError(415, "encoded_body", "compressed bodies are not taken")
    if not _is_public(request):
        request[KEY] = await _identify(request)
    return await handler(request)


def _is_public(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is not None and (request.method, resource.canonical) in request.app[PUBLIC]


async def _identify(request: web.Request) -> Principal:
    """Return who asks; raise 401 where that is nobody known. A token that is sent must be right, whatever else is."""
    settings, accounts = request.app[SETTINGS], request.app[ACCOUNTS]
    found: Principal | None = None
    if (sent := request.headers.getall(hdrs.AUTHORIZATION, [])) != []:
        kind, _, token = sent[0].partition(" ")
        if len(sent) == 1 and kind.lower() == "bearer" and token:
            found = await accounts.by_token(token)
    elif (session := _session(request, settings)) is not None:
        found = await accounts.by_session(session)
    if found is None and not sent and settings.open_access:
        return Principal(OWNER, admin=True, via="open")
    if found is None:
        message = UNKNOWN_TOKEN if sent and sent[0].lower().startswith("bearer ") else NO_TOKEN
        raise ApiError(401, "no_token", message, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
    return found


def _session(request: web.Request, settings: Settings) -> str | None:
    try:
        return request.cookies.get(session_cookie(settings))
    except ValueError:
        return None
