"""What the queue tells the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from nodegraph.server.hub import Hub
from nodegraph.server.live import Device, device_json, output_json, summary
from nodegraph.server.records import Batch, Job, Output
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.store import Store

log = logging.getLogger(__name__)
Json = Any
BATCH_SECONDS = 0.25
"""Between two times that a batch's numbers are read."""


class Telling:
    """Publishes events of jobs, outputs, batches, devices and the queue, whose state `state` gives."""

    def __init__(self, store: Store, hub: Hub, state: Callable[[], dict[str, Json]]) -> None:
        self._store, self._hub, self._state = store, hub, state
        self._batches: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def job(self, job: Job, what: str) -> None:
        """Tell that a job came to a state, was `changed` or `deleted`."""
        self._hub.publish(f"job.{what}", summary(job), user=job.user, job=job.id)

    def output(self, output: Output, what: str) -> None:
        """Tell that an output was `added` or `removed`."""
        self._hub.publish(f"output.{what}", output_json(output), user=output.user, job=output.job)

    def queue(self) -> None:
        """Tell how the queue is."""
        self._hub.publish("queue.changed", self._state(), user=None)

    def device(self, device: Device) -> None:
        """Tell how a device is."""
        self._hub.publish("device.changed", device_json(device), user=None)

    def batches(self, jobs: Iterable[Job]) -> None:
        """Tell soon of the batches that these jobs belong to."""
        self._batches |= {job.batch for job in jobs if job.batch is not None}
        if self._batches and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._tell_batches(), name="batches")

    async def stop(self) -> None:
        """Tell no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _tell_batches(self) -> None:
        while self._batches:
            await asyncio.sleep(BATCH_SECONDS)
            ids, self._batches = self._batches, set()
            try:
                found = [await self._store.batch(id) for id in ids]
            except StoreError as error:
                log.warning("batches were not told of: %s", error)
                return
            for batch in filter(None, found):
                self._hub.publish("batch.changed", _batch_json(batch), user=batch.user)


def _batch_json(batch: Batch) -> dict[str, Json]:
    counts = {state.value: count for state, count in batch.counts.items()}
    return {"id": batch.id, "seq": batch.seq, "user": batch.user, "name": batch.name, "total": batch.total} | {
        "created": batch.created,
        "counts": counts,
    }
