"""Who asks: put on each request by the guard, read by handlers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from nodegraph.server.errors import ApiError

OWNER: Final = "owner"
"""The user who started the server; an admin."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what let them in."""

    user: str
    admin: bool = False
    via: Literal["bearer", "cookie", "open"] = "bearer"


KEY: Final = web.RequestKey("KEY", Principal)


def principal(request: web.Request) -> Principal:
    """Return who asks; raise 401 where nobody is known, which only public routes let through."""
    found: Principal | None = request.get(KEY)
    if found is None:
        raise ApiError(401, "no_token", "a token is needed: send it as `Authorization: Bearer ...`")
    return found


def require_admin(request: web.Request) -> Principal:
    """Return who asks, if it is an admin; raise 403 otherwise."""
    who = principal(request)
    if not who.admin:
        raise ApiError(403, "not_admin", "only an admin may do this")
    return who
