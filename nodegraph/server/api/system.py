"""`/system`, `/me` and `/logout`: the server, and who asks it."""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from dataclasses import asdict
from importlib.metadata import version
from typing import Literal

from aiohttp import web

from nodegraph.server.api.queue import DeviceAnswer, devices
from nodegraph.server.api.routing import Model, Route
from nodegraph.server.keys import ACCOUNTS, HOST, QUEUE, SETTINGS, STORE
from nodegraph.server.metrics import METER
from nodegraph.server.security.guard import session_cookie
from nodegraph.server.security.principal import principal


class Disk(Model):
    """Bytes of the disk that holds the data."""

    total: int
    free: int


class MeAnswer(Model):
    """Who asks, and how that is known: a token, a browser's session, or that nobody is asked."""

    user: str
    admin: bool
    via: Literal["bearer", "cookie", "open"]


class SystemAnswer(Model):
    """The server: its version, seconds up, limits, devices, disk, and what its user must know (`notice`)."""

    version: str
    python: str
    uptime: float
    user: MeAnswer
    limits: dict[str, int | float]
    """Counts and bytes are integers, seconds are not."""
    devices: list[DeviceAnswer]
    disk: Disk
    paused: bool
    nodes_ready: bool
    """Whether workflows can be checked by now."""
    webhooks: bool
    """Whether there are hosts that webhooks may call."""
    notice: str | None = None


async def show(request: web.Request) -> SystemAnswer:
    """Tell of the server."""
    app = request.app
    settings, who = app[SETTINGS], principal(request)
    total, _, free = await asyncio.to_thread(shutil.disk_usage, settings.data)
    return SystemAnswer(
        version=version("nodegraph"),
        python=platform.python_version(),
        uptime=time.monotonic() - app[METER].began,
        user=MeAnswer(user=who.user, admin=who.admin, via=who.via),
        limits=asdict(settings.limits),
        devices=devices(request),
        disk=Disk(total=total, free=free),
        paused=app[QUEUE].paused is not None,
        nodes_ready=app[HOST].ready,
        webhooks=bool(settings.webhooks),
        notice=app[STORE].notice if who.admin else None,
    )


async def me(request: web.Request) -> MeAnswer:
    """Tell who asks."""
    who = principal(request)
    return MeAnswer(user=who.user, admin=who.admin, via=who.via)


async def logout(request: web.Request) -> web.Response:
    """End the browser's session."""
    name = session_cookie(request.app[SETTINGS])
    session = request.cookies.get(name)
    if session is not None:
        await request.app[ACCOUNTS].logout(session)
    answer = web.Response(status=204)
    answer.del_cookie(name, path="/")
    return answer


ROUTES: tuple[Route, ...] = (
    Route("GET", "/system", show, "Tell of the server", answer=SystemAnswer),
    Route("GET", "/me", me, "Tell who asks", answer=MeAnswer),
    Route("POST", "/logout", logout, "End the browser's session", status=204),
)
