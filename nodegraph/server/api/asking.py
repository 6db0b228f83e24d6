"""What handlers of several resources ask of a request: who it is, and what of theirs it names."""

from __future__ import annotations

from aiohttp import web

from nodegraph.server.api.wire import JobAnswer
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.keys import QUEUE, STORE
from nodegraph.server.records import Batch, Job
from nodegraph.server.security.principal import principal

EVERYBODY = "*"
MOST_OUTPUTS = 1000
"""Of one job, told with it; `/outputs?job=` lists all."""


def scope(request: web.Request) -> str | None:
    """Return whose things a request may reach by their id: its user's; None for an admin, who reaches all."""
    who = principal(request)
    return None if who.admin else who.user


def whose(request: web.Request, user: str | None) -> str | None:
    """Return whose things are listed: the asker's own or, for an admin, those of `user` (`*`: everybody's, None)."""
    who = principal(request)
    if user is None or user == who.user:
        return who.user
    if not who.admin:
        raise ApiError(403, "not_admin", "only an admin may ask for what is another user's")
    return None if user == EVERYBODY else user


async def job_of(request: web.Request) -> Job:
    """Return the job that the path names; raise 404 where there is none, or it is another user's."""
    job = await request.app[STORE].job(request.match_info["id"], scope(request))
    if job is None:
        raise not_found(f"job {request.match_info['id'][:100]!r}")
    return job


async def batch_of(request: web.Request) -> Batch:
    """Return the batch that the path names; raise 404 where there is none, or it is another user's."""
    batch = await request.app[STORE].batch(request.match_info["id"], scope(request))
    if batch is None:
        raise not_found(f"batch {request.match_info['id'][:100]!r}")
    return batch


async def told(request: web.Request, job: Job) -> JobAnswer:
    """Return all about a job."""
    store = request.app[STORE]
    view = await request.app[QUEUE].view(job)
    outputs = await store.outputs(job=job.id, limit=MOST_OUTPUTS)
    report = () if view.nodes else await store.report(job.id)
    return JobAnswer.whole(view, outputs.items[::-1], report)
