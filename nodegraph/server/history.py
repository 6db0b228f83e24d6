"""Jobs that have ended: run again, removed by hand, pruned in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from nodegraph.server.errors import ApiError
from nodegraph.server.publishing import Publisher
from nodegraph.server.records import FINAL, Job, Output, State, Submission
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.store import Store
from nodegraph.server.telling import Telling

log = logging.getLogger(__name__)
AT_ONCE = 500
"""Jobs of one page."""
UPKEEP_SECONDS = 60.0


class History:
    """Removes ended jobs with their previews, and reads them to be run again."""

    def __init__(self, store: Store, publisher: Publisher, telling: Telling) -> None:
        self._store, self._publisher, self._telling = store, publisher, telling

    async def delete(self, jobs: Sequence[Job], outputs: bool) -> None:
        """Remove final jobs with their previews, and with their outputs where that is asked."""
        freed = await self._store.delete([job.id for job in jobs])
        try:
            await self._remove([output for output in freed if outputs or output.kind == "temp" or not output.there])
        finally:  # they are gone though their files may stay
            for job in jobs:
                self._telling.job(job, "deleted")

    async def prune(
        self, user: str | None, keep: int | None, before: float | None, states: Collection[State] = ()
    ) -> int:
        """Remove final jobs with their previews; return how many jobs that were."""
        some = frozenset(states or FINAL) & FINAL
        count, freed = await self._store.prune(keep=keep, before=before, user=user, states=some)
        await self._remove([output for output in freed if output.kind == "temp" or not output.there])
        return count

    async def upkeep(self, keep: int) -> None:
        """Keep the newest final jobs and the previews of a day, from now on."""
        while True:
            try:
                await self.prune(None, keep, None)
                for output in await self._publisher.remove_old():
                    self._telling.output(output, "removed")
            except (ApiError, StoreError, OSError) as error:
                log.warning("the history was not pruned: %s", error)
            await asyncio.sleep(UPKEEP_SECONDS)

    async def jobs(self, states: Collection[State], user: str | None, batch: str | None) -> list[Job]:
        """Return all jobs of a user (None: of everybody) in these states, newest first."""
        jobs: list[Job] = []
        cursor: str | None = None
        while True:
            page = await self._store.jobs(user, states=states, batch=batch, cursor=cursor, limit=AT_ONCE)
            jobs += page.items
            cursor = page.cursor
            if cursor is None:
                return jobs

    async def failed(self, batch: str, user: str) -> list[Job]:
        """Return the jobs of a batch that failed and were not run again since, oldest first."""
        jobs = await self.jobs(list(State), user, batch)
        tried = {job.retry_of for job in jobs}
        return [job for job in reversed(jobs) if job.state is State.FAILED and job.id not in tried]

    async def again(self, job: Job) -> Submission:
        """Return the submission that runs a job again."""
        return Submission(
            document=await self._store.document(job.document),
            inputs=job.inputs,
            targets=job.targets,
            name=job.name,
            signature=job.signature,
            nodes=job.nodes,
            priority=job.priority,
            client=job.client,
            timeout=job.timeout,
            webhook=job.webhook,
            retry_of=job.id,
        )

    async def _remove(self, outputs: Sequence[Output]) -> None:
        try:
            await self._publisher.remove(outputs)
        except OSError as error:
            log.exception("outputs cannot be removed")
            text = f"the files cannot be removed: {error.strerror or 'no access'}"
            raise ApiError(500, "output_folder", text) from error
        for output in outputs:
            self._telling.output(output, "removed")
