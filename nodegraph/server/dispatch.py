"""Jobs brought to workers: whose turn it is gets the device that is free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from nodegraph.server.attempt import Attempt, Parts, retried
from nodegraph.server.protocol import Header
from nodegraph.server.records import Job
from nodegraph.server.store.errors import StoreError, StoreFullError
from nodegraph.server.turns import Turns
from nodegraph.server.workers import Worker

log = logging.getLogger(__name__)
Skip = Callable[[], Mapping[str, str]]
"""Gives the plugins that workers shall not import, with the reasons."""


class Dispatch:
    """The workers and what they run. `on_ended` gets each attempt with the job as it is then, None: it never began."""

    def __init__(
        self,
        parts: Parts,
        turns: Turns,
        *,
        skip: Skip,
        held: Callable[[], bool],
        on_ended: Callable[[Attempt, Job | None], None],
        on_device: Callable[[Worker], None],
    ) -> None:
        self._parts, self._turns, self._skip = parts, turns, skip
        self._held, self._on_ended, self._on_device = held, on_ended, on_device
        self.workers: list[Worker] = []
        self.attempts: dict[str, Attempt] = {}
        """What runs, by job."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._known = False
        self._stopping = False

    def start(self) -> None:
        """Start the workers, in the background; without names of devices, the first worker finds out what there is."""
        self._parts.hub.on_watch(self._show)
        devices = self._parts.settings.devices
        self._known = bool(devices)
        if devices:
            self._add(devices)
        else:
            self._start(None, 1, self._parts.settings.workers or 1)

    async def stop(self, grace: float) -> None:
        """End within `grace` seconds: jobs may end in the first 70 %, then they stop and are queued again."""
        self._stopping = True
        if self._tasks and grace > 0:
            await asyncio.wait(self._tasks, timeout=0.7 * grace)
        for attempt in self.attempts.values():
            attempt.stop("stopping")
        if self._tasks and grace > 0:
            await asyncio.wait(self._tasks, timeout=0.2 * grace)
        for attempt in self.attempts.values():
            attempt.kill()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(1.0, 0.1 * grace))
        await asyncio.gather(*(worker.stop(max(0.5, 0.1 * grace)) for worker in self.workers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kick(self) -> None:
        """Begin what can be begun."""
        while not self._stopping and not self._held():
            worker = next((worker for worker in self.workers if worker.free), None)
            taken = None if worker is None else self._turns.take()
            if worker is None or taken is None:
                return
            id, user = taken
            attempt = self.attempts[id] = Attempt(self._parts, id, user, worker)
            worker.take(id)
            task = asyncio.create_task(self._run(attempt), name=f"job {id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def release(self, id: str) -> Job | None:
        """Queue a job again that nobody runs, as soon as there is room for that."""
        return await retried(lambda: self._parts.store.release(id, counted=False), self._parts.on_full)

    def find(self, device: str) -> Worker | None:
        """Return a worker by its name."""
        return next((worker for worker in self.workers if worker.id == device), None)

    async def _run(self, attempt: Attempt) -> None:
        job: Job | None = None
        try:
            job = await attempt.run()
        except StoreFullError:
            self._parts.on_full()
        except StoreError:
            log.exception("job %s cannot be followed any further; it is taken up at the next start", attempt.id)
        finally:
            del self.attempts[attempt.id]
            self._turns.ended(attempt.user)
            attempt.worker.take(None)
        self._on_ended(attempt, job)
        self.kick()

    def _add(self, devices: tuple[str, ...]) -> None:
        """Start the workers that are not there yet: one a device, or as many as are asked for, spread over them."""
        count = self._parts.settings.workers or len(devices)
        for index in range(len(self.workers), count):
            self._start(devices[index % len(devices)], index // len(devices) + 1, count)

    def _start(self, device: str | None, number: int, count: int) -> None:
        worker = Worker(
            self._parts.settings,
            device,
            number=number,
            count=count,
            skip=self._skip,
            on_change=self._changed,
            on_tell=self._told,
        )
        self.workers.append(worker)
        worker.start()

    def _changed(self, worker: Worker) -> None:
        if not self._known and worker.ready:
            self._known = True
            others = [found["id"] for found in worker.ready.get("devices", ()) if found["id"] != worker.device]
            self._add((worker.device, *others))
        self._on_device(worker)
        if worker.free:
            asyncio.get_running_loop().call_soon(self.kick)

    def _told(self, worker: Worker, header: Header, payload: bytes) -> None:
        attempt = self.attempts.get(header.get("job", ""))
        if attempt is not None and attempt.worker is worker:
            attempt.told(header, payload)

    def _show(self) -> None:
        for attempt in self.attempts.values():
            attempt.show()
