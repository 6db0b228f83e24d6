"""`/queue`: what waits and runs, and whether anything is begun."""

from __future__ import annotations

import json
from typing import Annotated

from aiohttp import web
from pydantic import Field

from nodegraph.server.api.asking import whose
from nodegraph.server.api.routing import Model, Query, Route
from nodegraph.server.api.wire import Count, LiveJob, Name
from nodegraph.server.keys import QUEUE
from nodegraph.server.live import device_json
from nodegraph.server.security.principal import principal


class DeviceAnswer(Model):
    """A worker: `starting`, `idle`, `busy`, `paused`, `restarting` or `dead`, why, and the bytes that it holds."""

    id: str
    device: str
    state: str
    job: str | None = None
    memory: int = 0
    since: float = 0.0
    restarts: int = 0
    reason: str = ""


class QueueAnswer(Model):
    """Whether jobs are begun, how many there are of all users, and the asker's own that run, wait and come next."""

    paused: bool
    reason: str = ""
    queued: int
    running: int
    waiting: int
    devices: list[DeviceAnswer]
    jobs: list[LiveJob]


class WhoseQuery(Query):
    """Whose jobs; `user` is for admins, `*` means everybody's."""

    user: Annotated[str, Field(max_length=100)] | None = None


class Resume(Model):
    """What is resumed: a device by its id, or all."""

    device: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class Pause(Resume):
    """What is paused: a device by its id, or all; and why."""

    reason: Name = "paused"


def devices(request: web.Request) -> list[DeviceAnswer]:
    """Return the workers as they stand on the wire."""
    return [DeviceAnswer(**device_json(device)) for device in request.app[QUEUE].devices()]


async def show(request: web.Request, query: WhoseQuery) -> QueueAnswer:
    """Tell of the queue."""
    user = whose(request, query.user)
    queue, state = request.app[QUEUE], request.app[QUEUE].state()
    jobs = (await queue.snapshot(user or principal(request).user, admin=user is None))["jobs"]
    return QueueAnswer(
        paused=bool(state["paused"]),
        reason=state["reason"] or "",
        **{name: int(state[name]) for name in ("queued", "running", "waiting")},
        devices=devices(request),
        jobs=[LiveJob.model_validate_json(json.dumps(job)) for job in jobs],
    )


async def pause(request: web.Request, what: Pause) -> QueueAnswer:
    """Begin no more jobs."""
    await request.app[QUEUE].pause(what.device, what.reason)
    return await show(request, WhoseQuery())


async def resume(request: web.Request, what: Resume) -> QueueAnswer:
    """Begin jobs again."""
    await request.app[QUEUE].resume(what.device)
    return await show(request, WhoseQuery())


async def clear(request: web.Request, query: WhoseQuery) -> Count:
    """Cancel queued jobs."""
    return Count(count=await request.app[QUEUE].clear(whose(request, query.user)))


PAUSED = {404: "There is no such device"}
ROUTES: tuple[Route, ...] = (
    Route("GET", "/queue", show, "Tell of the queue and the devices", query=WhoseQuery, answer=QueueAnswer),
    Route(
        "POST",
        "/queue/pause",
        pause,
        "Begin no more jobs",
        body=Pause,
        optional=True,
        answer=QueueAnswer,
        admin=True,
        errors=PAUSED,
    ),
    Route(
        "POST",
        "/queue/resume",
        resume,
        "Begin jobs again",
        body=Resume,
        optional=True,
        answer=QueueAnswer,
        admin=True,
        errors=PAUSED,
    ),
    Route("POST", "/queue/clear", clear, "Cancel all queued jobs of the user", query=WhoseQuery, answer=Count),
)
