"""How far jobs are and when they will end, judged by what runs, what is queued, and what such jobs took before."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nodegraph.server.dispatch import Dispatch
from nodegraph.server.estimates import Estimates
from nodegraph.server.live import JobView, summary
from nodegraph.server.records import Job, State
from nodegraph.server.store.store import Store
from nodegraph.server.turns import Turns

Json = Any
SHOWN = 50
"""Queued jobs in a snapshot, the next ones; others are known by their number."""


class Outlook:
    """Makes views of jobs."""

    def __init__(self, store: Store, turns: Turns, estimates: Estimates, dispatch: Dispatch) -> None:
        self._store, self._turns, self._estimates, self._dispatch = store, turns, estimates, dispatch

    async def view(self, job: Job) -> JobView:
        """Return a job with what is known of it now."""
        attempt = self._dispatch.attempts.get(job.id)
        if job.state is State.DONE:
            return JobView(job=job, progress=1.0)
        if attempt is not None and attempt.job is not None and not job.state.final:
            progress = attempt.progress
            return JobView(
                job=job,
                progress=progress.value,
                nodes=progress.nodes,
                left=progress.left,
                cancelling=attempt.why is not None,
            )
        if job.state is not State.QUEUED:
            return JobView(job=job)
        place = self._turns.before(job.id)
        return JobView(job=job, place=place, left=await self._until_done(job, place or 0))

    async def jobs(self, user: str | None) -> list[dict[str, Json]]:
        """Return a user's jobs (None: everybody's) that run or wait, and the next queued ones, as JSON."""
        page = await self._store.jobs(user, states=[State.RUNNING, State.WAITING], limit=500)
        queued = [await self._store.job(id) for id in self._turns.next(user, SHOWN)]
        return [await self._told(job) for job in (*page.items, *queued) if job is not None]

    async def _told(self, job: Job) -> dict[str, Json]:
        view = await self.view(job)
        more = {"progress": view.progress, "left": view.left, "place": view.place, "cancelling": view.cancelling}
        return {**summary(job), **more, "node_states": [asdict(node) for node in view.nodes]}

    async def _until_done(self, job: Job, place: int) -> float | None:
        """Judge when a queued job will have ended; the jobs before it are taken to be like those of late."""
        own = await self._estimates.expected(job.signature)
        if own is None:
            return None
        usual = self._estimates.average or own.total
        running = [attempt.progress.left for attempt in self._dispatch.attempts.values()]
        rest = sum(usual if left is None else left for left in running)
        return (rest + place * usual) / max(1, len(self._dispatch.workers)) + own.total
