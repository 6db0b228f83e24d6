"""How long jobs take, judged by those of the same kind that ran before."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.kinds import Expected
from nodegraph.server.store.store import Store

log = logging.getLogger(__name__)
KEPT = 256
FRESH = 1.0
"""Seconds for which what is known of a kind is not read again, though more of it has ended."""
LATEST_COUNTS = 0.2
"""Of the average over all jobs: how much the one that ended last makes up."""


class Estimates:
    """What jobs are expected to take; the latest used are in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, tuple[Expected | None, float]] = {}
        self.average: float | None = None
        """Seconds that jobs of any kind took lately."""

    async def expected(self, signature: str) -> Expected | None:
        """Return what a job of this signature takes; None where none has run."""
        if not signature:
            return None
        if signature in self._kept:
            found, read = self._kept.pop(signature)
        else:
            found, read = await self._store.expected_times(signature), time.monotonic()
        self._kept[signature] = found, read
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    async def remember(self, signature: str, nodes: Mapping[str, float], seconds: float) -> None:
        """Note what a job took that is done; nothing is noted where the store has no room."""
        before = seconds if self.average is None else self.average
        self.average = before + LATEST_COUNTS * (seconds - before)
        if not signature:
            return
        try:
            await self._store.remember_times(signature, nodes, seconds)
        except StoreError as error:
            log.warning("the times of a job were not kept: %s", error)
        found, read = self._kept.get(signature, (None, 0.0))
        if found is None or time.monotonic() - read > FRESH:
            self._kept.pop(signature, None)
