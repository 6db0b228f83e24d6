"""The queue: all that changes jobs goes through it, and it sees to it that they run."""

from __future__ import annotations

from collections.abc import AsyncIterable, Collection, Mapping, Sequence
from typing import Any

from nodegraph.server.host import Host
from nodegraph.server.hub import Hub
from nodegraph.server.live import Device, JobView
from nodegraph.server.records import Batch, Job, State, Submission
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store

Json = Any


class Queue:
    """Takes jobs, lets users take turns, runs jobs on the devices and tells the hub of all that happens.

    Methods that take a `Job` take its record as read before (the caller has seen to it that its user may); whether the
    change still fits is decided on what the job is now.
    """

    def __init__(self, settings: Settings, store: Store, hub: Hub, host: Host) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Take up what the last run left, then start the workers in the background."""

    async def stop(self, grace: float | None = None) -> None:
        """End within `grace` seconds: running jobs may end in the first part of it, then they are queued again."""

    @property
    def paused(self) -> str | None:
        """Return why no job is begun; None where jobs are begun."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Tell whether at least one worker can take a job."""
        raise NotImplementedError

    async def submit(self, user: str, submissions: Sequence[Submission]) -> list[Job]:
        """Put jobs into the user's queue; raise `ApiError` 429 beyond the limit, 503 while stopping."""
        raise NotImplementedError

    async def submit_batch(
        self, user: str, name: str, submissions: Sequence[Submission], key: str | None = None
    ) -> tuple[Batch, list[Job]]:
        """Put the items of a batch into the user's queue, as `submit` does."""
        raise NotImplementedError

    async def cancel(self, job: Job) -> Job:
        """Cancel a job, at once where it does not run; a job that is final stays as it is. Return it as it is now."""
        raise NotImplementedError

    async def cancel_batch(self, batch: Batch) -> int:
        """Cancel what of a batch is not final; return how many jobs that are."""
        raise NotImplementedError

    async def clear(self, user: str | None) -> int:
        """Cancel all queued jobs of a user (None: of everybody); return how many that were."""
        raise NotImplementedError

    async def retry(self, job: Job, user: str) -> Job:
        """Submit a final job again, as a new job; raise `ApiError` 409 where it is not final."""
        raise NotImplementedError

    async def retry_batch(self, batch: Batch, user: str) -> list[Job]:
        """Submit the failed jobs of a batch again, as new jobs of the same batch."""
        raise NotImplementedError

    async def answer(self, job: Job, answers: Mapping[str, Json]) -> Job:
        """Answer questions of a waiting job, by node; raise `ApiError` 409 where it waits for none, 422 for no choice."""
        raise NotImplementedError

    async def move(
        self,
        job: Job,
        *,
        priority: int | None = None,
        before: str | None = None,
        after: str | None = None,
        end: str | None = None,
    ) -> Job:
        """Move a queued job: to a priority, next to another job of the user, or to the `first` or `last` place."""
        raise NotImplementedError

    async def delete(self, jobs: Sequence[Job], *, outputs: bool = False) -> int:
        """Remove final jobs and their previews, with `outputs` their outputs too; raise `ApiError` 409 for others."""
        raise NotImplementedError

    async def prune(
        self,
        user: str | None,
        *,
        keep: int | None = None,
        before: float | None = None,
        states: Collection[State] = (),
    ) -> int:
        """Remove final jobs and their previews, not their outputs; return how many jobs that were."""
        raise NotImplementedError

    async def import_jobs(self, user: str, jobs: AsyncIterable[Mapping[str, Json]]) -> Mapping[str, int]:
        """Take in exported jobs: final ones become history, the others are queued."""
        raise NotImplementedError

    async def pause(self, device: str | None = None, reason: str = "paused") -> None:
        """Begin no more jobs, at all or on a device, until `resume`, restarts of the server included."""
        raise NotImplementedError

    async def resume(self, device: str | None = None) -> None:
        """Begin jobs again; raise `ApiError` 404 for a device that is not there."""
        raise NotImplementedError

    def devices(self) -> list[Device]:
        """Return the workers and what they are at."""
        raise NotImplementedError

    async def view(self, job: Job) -> JobView:
        """Return a job with what is known of it now."""
        raise NotImplementedError

    async def snapshot(self, user: str, admin: bool = False) -> dict[str, Json]:
        """Return where everything stands, for a client that cannot be told event by event.

        `jobs`: the user's jobs that run or wait and the next that are queued, each as its summary with `progress`,
        `left`, `place` and `node_states`; `devices`; `queue`.
        """
        raise NotImplementedError

    def state(self) -> dict[str, Json]:
        """Return `paused`, `reason`, and how many jobs are `queued`, `running` and `waiting`."""
        raise NotImplementedError

    async def until_final(self, job: str, timeout: float | None = None) -> Job | None:
        """Wait for a job to end; return it as it is then or when the time is up, None where there is no such job."""
        raise NotImplementedError
