"""How many jobs a user may have that have not ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nodegraph.server.attempt import Attempt
from nodegraph.server.errors import ApiError
from nodegraph.server.turns import Turns


class Admission:
    """Admits jobs up to `most` of a user; those that wait for an answer are told by their users."""

    def __init__(self, most: int, turns: Turns, waiting: Mapping[str, str], attempts: Mapping[str, Attempt]) -> None:
        self._most, self._turns, self._waiting, self._attempts = most, turns, waiting, attempts
        self._coming: Counter[str] = Counter()
        """Jobs that are being written."""

    def check(self, user: str, count: int) -> None:
        """Raise `ApiError` 429 where `count` more jobs are too many."""
        waiting = sum(owner == user for owner in self._waiting.values())
        running = sum(attempt.user == user for attempt in self._attempts.values())
        there = self._turns.queued(user) + waiting + running + self._coming[user]
        if count and there + count > self._most:
            text = f"there are {there} jobs of yours that have not ended, and {count} more would pass the limit of "
            raise ApiError(429, "queue_full", f"{text}{self._most}", headers={"Retry-After": "30"})

    @contextmanager
    def places(self, user: str, count: int) -> Iterator[None]:
        """Keep places for jobs until they are there; raise as `check` does."""
        self.check(user, count)
        self._coming[user] += count
        try:
            yield
        finally:
            self._coming[user] -= count
            if not self._coming[user]:
                del self._coming[user]
