"""The queue: all that changes jobs goes through it, and it sees to it that they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from nodegraph.server.admission import Admission
from nodegraph.server.answers import check_answers
from nodegraph.server.attempt import Attempt, Parts, retried
from nodegraph.server.children import Child
from nodegraph.server.dispatch import Dispatch
from nodegraph.server.ends import Ends
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.estimates import Estimates
from nodegraph.server.history import AT_ONCE, History
from nodegraph.server.holding import Holding
from nodegraph.server.host import Host
from nodegraph.server.hub import Hub
from nodegraph.server.live import Device, JobView, device_json
from nodegraph.server.outlook import Outlook
from nodegraph.server.publishing import Publisher
from nodegraph.server.records import FINAL, Batch, Job, State, Submission
from nodegraph.server.settings import Settings
from nodegraph.server.store.errors import ImportedError, StoreError
from nodegraph.server.store.store import Store
from nodegraph.server.telling import Telling
from nodegraph.server.turns import Turns
from nodegraph.server.workers import Worker

Json = Any
CANCELLING = "queue.cancelling"
MANY = 100
"""Jobs submitted at once beyond this are told of as a batch and a number, not one by one."""


class Queue:
    """Takes jobs, lets users take turns, runs jobs on the devices and tells the hub of all that happens.

    Methods that take a `Job` take its record as read before (the caller has seen to it that its user may); whether the
    change still fits is decided on what the job is now.
    """

    def __init__(self, settings: Settings, store: Store, hub: Hub, host: Host) -> None:
        self._settings, self._store, self._hub = settings, store, hub
        self._turns, self._waiting = Turns(), dict[str, str]()
        self._publisher, self._estimates = Publisher(settings, store), Estimates(store)
        self._holding = Holding(settings, store, self._held)
        parts = Parts(settings, store, hub, self._publisher, self._estimates, self._holding.full)
        self._dispatch = Dispatch(
            parts, self._turns, skip=lambda: host.skipped, held=lambda: self.paused is not None,
            on_ended=self._ended, on_device=self._device,
        )  # fmt: skip
        self._outlook = Outlook(store, self._turns, self._estimates, self._dispatch)
        self._telling = Telling(store, hub, self.state)
        self._history = History(store, self._publisher, self._telling)
        self._admission = Admission(settings.limits.queued, self._turns, self._waiting, self._dispatch.attempts)
        self._cancelling: set[str] = set()
        self._ends, self._retrying = Ends(store), asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what the last run left, then start the workers in the background."""
        for id in await self._store.get(CANCELLING) or ():  # first: what was to be cancelled has not crashed
            await self._store.finish(id, State.CANCELLED)
        await self._store.put(CANCELLING, [])
        await self._store.recover()
        await self._publisher.recover()
        await self._load()
        await self._holding.start()
        self._spawn(self._history.upkeep(self._settings.limits.history))
        self._dispatch.start()

    async def stop(self, grace: float | None = None) -> None:
        """End within `grace` seconds: running jobs may end in the first part of it, then they are queued again."""
        if self._stopped is None:
            self._stopped = asyncio.create_task(self._stop(self._settings.grace if grace is None else grace))
        await asyncio.shield(self._stopped)

    @property
    def paused(self) -> str | None:
        """Return why no job is begun; None where jobs are begun."""
        return "stopping" if self._stopped is not None else self._holding.reason

    @property
    def ready(self) -> bool:
        """Tell whether at least one worker can take a job."""
        return bool(self.children)

    @property
    def children(self) -> list[Child]:
        """Return the workers' processes that can take jobs."""
        return [worker.child for worker in self._dispatch.workers if worker.child is not None]

    async def submit(self, user: str, submissions: Sequence[Submission]) -> list[Job]:
        """Put jobs into the user's queue; raise `ApiError` 429 beyond the limit, 503 while stopping.

        Those whose keys were used before are there already and take no place.
        """
        keys = [submission.key for submission in submissions if submission.key is not None]
        known = [key for key in keys if await self._store.by_key(user, key) is not None]
        with self._admitted(user, len(submissions) - len(known)):
            jobs = await self._holding.written(self._store.add(user, submissions))
            self._queue(jobs)
        return jobs

    async def submit_batch(
        self, user: str, name: str, submissions: Sequence[Submission], key: str | None = None
    ) -> tuple[Batch, list[Job]]:
        """Put the items of a batch into the user's queue, as `submit` does."""
        known = key is not None and await self._store.batch_by_key(user, key) is not None
        with self._admitted(user, 0 if known else len(submissions)):
            batch, jobs = await self._holding.written(self._store.add_batch(user, name, submissions, key=key))
            self._queue(jobs)
        return batch, jobs

    async def cancel(self, job: Job) -> Job:
        """Cancel a job, at once where it does not run; a job that is final stays as it is. Return it as it is now."""
        attempt = self._dispatch.attempts.get(job.id)
        if attempt is not None:
            attempt.stop("cancelled")
            self._cancelling.add(job.id)
            await self._holding.written(self._store.put(CANCELLING, sorted(self._cancelling)))
            if job.id not in self._dispatch.attempts:  # it ended meanwhile
                await self._forget_cancel(job.id)
        else:
            self._turns.remove(job.id)
            try:
                ended = await self._holding.written(self._store.finish(job.id, State.CANCELLED))
            except (ApiError, StoreError):
                await self._look_again(job.id)
                raise
            if ended is not None:
                self._over(ended)
                return ended
        return await self._now(job)

    async def cancel_batch(self, batch: Batch) -> int:
        """Cancel what of a batch is not final; return how many jobs that are."""
        return await self._cancel_all([State.QUEUED, State.WAITING, State.RUNNING], batch.user, batch.id)

    async def clear(self, user: str | None) -> int:
        """Cancel all queued jobs of a user (None: of everybody); return how many that were."""
        return await self._cancel_all([State.QUEUED], user, None)

    async def retry(self, job: Job, user: str) -> Job:
        """Submit a final job again, as a new job; raise `ApiError` 409 where it is not final."""
        now = await self._now(job)
        if not now.state.final:
            raise ApiError(409, "not_final", f"the job is {now.state}: only one that has ended can be run again")
        (again,) = await self.submit(user, [await self._history.again(now)])
        return again

    async def retry_batch(self, batch: Batch, user: str) -> list[Job]:
        """Submit the failed jobs of a batch again, as new jobs of the same batch."""
        async with self._retrying:  # who asks twice finds none the second time
            failed = await self._history.failed(batch.id, batch.user)
            with self._admitted(user, len(failed)):
                submissions = [await self._history.again(job) for job in failed]
                write = self._store.add(user, submissions, batch=batch.id)
                again = await self._holding.written(write)
                self._queue(again)
        return again

    async def answer(self, job: Job, answers: Mapping[str, Json]) -> Job:
        """Answer a waiting job's questions, by node; raise `ApiError` 409 where it waits for none, 422 for a misfit."""
        now = await self._now(job)
        if now.state is not State.WAITING:
            raise ApiError(409, "not_waiting", f"the job is {now.state}: it waits for no answer")
        check_answers(now, answers)
        queued = await self._holding.written(self._store.answer(job.id, answers))
        if queued is None:
            raise ApiError(409, "not_waiting", "the job waits for no answer any more")
        self._waiting.pop(job.id, None)
        self._queue([queued])
        return queued

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
        reordered = self._store.reordered
        moved = await self._holding.written(
            self._store.move(job.id, priority=priority, before=before, after=after, end=end)
        )
        if moved is None:
            raise ApiError(409, "not_queued", "the job, or the one beside which it shall stand, is not in the queue")
        changed = [moved]
        if self._store.reordered != reordered:
            among = (moved.user, moved.priority)
            changed = [other for other in await self._load() if (other.user, other.priority) == among]
        elif moved.id in self._turns:
            self._turns.add(moved)
        for other in changed[:MANY]:  # of a longer queue the next ones are told
            self._telling.job(other, "changed")
        return moved

    async def delete(self, jobs: Sequence[Job], *, outputs: bool = False) -> int:
        """Remove final jobs and their previews, with `outputs` their outputs too; raise `ApiError` 409 for others."""
        now = [await self._now(job) for job in jobs]
        running = next((job for job in now if not job.state.final), None)
        if running is not None:
            raise ApiError(409, "not_final", f"the job {running.id} is {running.state}: cancel it first")
        await self._holding.written(self._history.delete(now, outputs))
        return len(now)

    async def prune(
        self,
        user: str | None,
        *,
        keep: int | None = None,
        before: float | None = None,
        states: Collection[State] = (),
    ) -> int:
        """Remove final jobs and their previews, not their outputs; return how many jobs that were."""
        return await self._holding.written(self._history.prune(user, keep, before, states))

    async def import_jobs(self, user: str, jobs: AsyncIterable[Mapping[str, Json]]) -> Mapping[str, int]:
        """Take in exported jobs: final ones become `history`, the others are `queued`; those there are `skipped`."""
        items, queued = list[Mapping[str, Json]](), 0
        async for item in jobs:
            items.append(item)
            if str(item.get("state")) not in FINAL:
                queued += 1
                self._admission.check(user, queued)
        with self._admitted(user, queued):
            try:
                imported = await self._holding.written(self._store.import_jobs(user, items))
            except ImportedError as error:
                raise ApiError(422, "invalid_import", str(error)) from error
            self._queue(imported.queued)
        return {"history": imported.history, "queued": len(imported.queued), "skipped": imported.skipped}

    async def pause(self, device: str | None = None, reason: str = "paused") -> None:
        """Begin no more jobs, at all or on a device, until `resume`, restarts of the server included."""
        if device is not None and self._dispatch.find(device) is None:
            raise not_found(f"device {device!r}")
        await self._holding.written(self._holding.pause(device, reason))

    async def resume(self, device: str | None = None) -> None:
        """Begin jobs again; raise `ApiError` 404 for a device that is not there."""
        if device is not None and device not in self._holding.devices and self._dispatch.find(device) is None:
            raise not_found(f"device {device!r}")
        await self._holding.written(self._holding.resume(device))

    def devices(self) -> list[Device]:
        """Return the workers and what they are at."""
        return [worker.view for worker in self._dispatch.workers]

    async def view(self, job: Job) -> JobView:
        """Return a job with what is known of it now."""
        return await self._outlook.view(job)

    async def snapshot(self, user: str, admin: bool = False) -> dict[str, Json]:
        """Return where everything stands, for a client that cannot be told event by event.

        `jobs`: the user's jobs that run or wait and the next that are queued, each as its summary with `progress`,
        `left`, `place`, `cancelling` and `node_states`; `devices`; `queue`. With `admin` the jobs of all users.
        """
        devices = [device_json(device) for device in self.devices()]
        return {"jobs": await self._outlook.jobs(None if admin else user), "devices": devices, "queue": self.state()}

    def state(self) -> dict[str, Json]:
        """Return `paused`, `reason`, and how many jobs are `queued`, `running` and `waiting`."""
        counts = {"queued": len(self._turns), "running": len(self._dispatch.attempts), "waiting": len(self._waiting)}
        return {"paused": self.paused is not None, "reason": self.paused, **counts}

    async def until_at_rest(self, job: str, timeout: float | None = None) -> Job | None:
        """Wait for a job to end, or to wait for an answer; return it as it is then or when the time is up."""
        return await self._ends.until(job, timeout)

    async def _stop(self, grace: float) -> None:
        await self._dispatch.stop(grace)
        self._holding.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._telling.stop()
        await self._publisher.stop()
        self._ends.stop()

    async def _load(self) -> list[Job]:
        pending = await self._store.pending()
        for job in pending:
            if job.state is State.WAITING:
                self._waiting[job.id] = job.user
            elif job.id not in self._dispatch.attempts:
                self._turns.add(job)
        return pending

    def _admitted(self, user: str, count: int) -> AbstractContextManager[None]:
        """Keep places in the queue until the jobs are there; raise `ApiError` where there are none."""
        if self._stopped is not None:
            raise ApiError(503, "stopping", "the server stops", headers={"Retry-After": "10"})
        return self._admission.places(user, count)

    def _queue(self, jobs: Sequence[Job]) -> None:
        """Take in jobs that the store has; those that were there before are left as they are."""
        fresh = [
            job
            for job in jobs
            if job.state is State.QUEUED and job.id not in self._turns and job.id not in self._dispatch.attempts
        ]
        for job in fresh:
            self._turns.add(job)
            if len(fresh) <= MANY:
                self._telling.job(job, "queued")
        self._telling.batches(fresh)
        self._telling.queue()
        self._dispatch.kick()

    async def _now(self, job: Job) -> Job:
        now = await self._store.job(job.id)
        if now is None:
            raise not_found(f"job {job.id!r}")
        return now

    async def _cancel_all(self, states: Collection[State], user: str | None, batch: str | None) -> int:
        jobs = await self._history.jobs(states, user, batch)
        for job in jobs:
            self._turns.remove(job.id)  # none of them begins while others are being cancelled
        try:
            for start in range(0, len(jobs), AT_ONCE):
                await asyncio.gather(*(self.cancel(job) for job in jobs[start : start + AT_ONCE]))
        except (ApiError, StoreError):
            await self._load()
            raise
        return len(jobs)

    def _ended(self, attempt: Attempt, job: Job | None) -> None:
        if attempt.why == "cancelled" and (job is None or not job.state.final):
            self._spawn(self._cancel_late(attempt.id))
            return
        if attempt.id in self._cancelling:
            self._spawn(self._forget_cancel(attempt.id))
        if job is None or job.state is State.RUNNING:
            self._spawn(self._look_again(attempt.id))
        elif job.state is State.QUEUED:
            self._queue([job])
        elif job.state is State.WAITING:
            self._waiting[job.id] = job.user
            self._telling.job(job, "waiting")
            self._telling.batches([job])
            self._ends.tell(job.id)
        elif job.state.final:
            self._over(job)
        self._telling.queue()

    def _over(self, job: Job) -> None:
        """Tell of a job that has just come to its final state."""
        self._turns.remove(job.id)
        self._waiting.pop(job.id, None)
        self._telling.job(job, job.state.value)
        self._telling.batches([job])
        self._telling.queue()
        self._ends.tell(job.id)

    async def _look_again(self, id: str) -> None:
        """See to a job whose attempt did not begin, or whose cancel was not written: it may still be queued."""
        job = await retried(lambda: self._store.job(id), self._holding.full)
        if job is not None and job.state is State.RUNNING and id not in self._dispatch.attempts:
            job = await self._dispatch.release(id)  # it was written that it runs, and answered with an error
        if job is not None:
            self._queue([job])

    async def _cancel_late(self, id: str) -> None:
        """Cancel a job whose attempt was asked to stop, and ended otherwise or never began."""
        ended = await retried(lambda: self._store.finish(id, State.CANCELLED), self._holding.full)
        if ended is not None:
            self._over(ended)
        await self._forget_cancel(id)

    async def _forget_cancel(self, id: str) -> None:
        self._cancelling.discard(id)
        with suppress(StoreError):  # a cancel that is over does no harm where it is remembered
            await self._store.put(CANCELLING, sorted(self._cancelling))

    def _held(self) -> None:
        for worker in self._dispatch.workers:
            self._device(worker)
        self._telling.queue()
        self._dispatch.kick()

    def _device(self, worker: Worker) -> None:
        worker.paused = self._holding.devices.get(worker.id, "")
        self._telling.device(worker.view)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
