"""Whoever waits for jobs to end, or to come to where only a person helps them on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nodegraph.server.records import Job, State
from nodegraph.server.store.store import Store


class Ends:
    """Tells those who wait for a job that it has ended, or asks something."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def until(self, job: str, timeout: float | None) -> Job | None:
        """Wait for a job to end or to ask; return it as it is then or when the time is up; None: there is none."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, set()).add(future)
        try:
            now = await self._store.job(job)
            if now is None or now.state.final or now.state is State.WAITING:
                return now
            await asyncio.wait([future], timeout=timeout)
            return await self._store.job(job)
        finally:
            waiting = self._waiting.get(job, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(job, None)

    def tell(self, job: str) -> None:
        """Let those go on who wait for a job."""
        _release(self._waiting.pop(job, ()))

    def stop(self) -> None:
        """Let everybody go on."""
        for futures in self._waiting.values():
            _release(futures)


def _release(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
