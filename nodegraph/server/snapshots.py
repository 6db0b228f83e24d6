"""Snapshots for streams that cannot be told what they missed: many that come at once share one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nodegraph.server.ring import Audience, line

FRESH_SECONDS = 1.0
Source = Callable[[str, bool], Awaitable[dict[str, Any]]]
"""Gives what a user (or with True everybody) may see, from the user's name."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as JSON; whoever has it needs the events after `seq`."""

    seq: int
    data: bytes
    made: float


class Snapshots:
    """The latest snapshot of each user."""

    def __init__(self, seq: Callable[[], int]) -> None:
        self._seq = seq
        self._kept: dict[tuple[str, bool], Snapshot] = {}
        self._making: dict[tuple[str, bool], asyncio.Task[Snapshot]] = {}

    async def get(self, audience: Audience, source: Source) -> Snapshot:
        """Return a snapshot that is at most a second old."""
        key = (audience.user, audience.everything)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.made < FRESH_SECONDS:
            return kept
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(key, source))
            making.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(making)

    async def _make(self, key: tuple[str, bool], source: Source) -> Snapshot:
        seq, made = self._seq(), time.monotonic()  # before: what happens meanwhile is told again rather than not at all
        snapshot = Snapshot(seq, line(await source(*key)), made)
        self._kept = {other: kept for other, kept in self._kept.items() if made - kept.made < FRESH_SECONDS}
        self._kept[key] = snapshot
        return snapshot
