"""The last events of a server, as they go over the wire, and frames of them that several streams share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

FRAME_EVENTS, FRAME_BYTES = 512, 64 * 2**10
"""What a frame holds at most, but for a single event that is longer by itself."""
SHARED_BYTES = 4 * 2**20
"""Of frames kept for further streams that need them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event: `line` is its JSON. `user` None: for everybody."""

    seq: int
    user: str | None
    job: str | None
    line: bytes
    time: float
    """Of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Which events a stream is for; streams of equal audience and place get the same bytes."""

    user: str
    everything: bool = False
    """Whether events of all users are meant."""
    jobs: frozenset[str] | None = None
    """Only events of these jobs; None: all of the user's."""

    def takes(self, user: str | None, job: str | None) -> bool:
        """Tell whether an event is meant for it."""
        if not (self.everything or user is None or user == self.user):
            return False
        return self.jobs is None or job in self.jobs


Form = Callable[[list[Entry]], bytes]
"""How a frame is written: websockets and server-sent events differ."""


class Ring:
    """The last entries, numbered from 1 without gaps.

    Kept are the last `length` and those younger than `seconds`, as long as all have at most `size` bytes together.
    """

    def __init__(self, length: int, size: int, seconds: float) -> None:
        self._length, self._size, self._seconds = length, size, seconds
        self._entries: list[Entry] = []
        self._begin = 0
        self._bytes = 0
        self.seq = 0
        """The number of the last entry."""
        self._shared: dict[tuple[Form, Audience, int], tuple[bytes | None, int]] = {}
        self._shared_bytes = 0

    def append(self, user: str | None, job: str | None, line: bytes, now: float) -> None:
        """Add an entry under the next number; `line` is an object's JSON, into which the number is put first."""
        self.seq += 1
        entry = Entry(self.seq, user, job, b'{"seq":%d,%b' % (self.seq, line[1:]), now)
        self._entries.append(entry)
        self._bytes += len(entry.line)
        while len(self) > 1 and self._spare(self._entries[self._begin], now):
            self._bytes -= len(self._entries[self._begin].line)
            self._begin += 1
        if self._begin > self._length:  # cut off in bulk: a list is sliced from any place at no cost
            del self._entries[: self._begin]
            self._begin = 0

    def _spare(self, oldest: Entry, now: float) -> bool:
        return self._bytes > self._size or (len(self) > self._length and now - oldest.time >= self._seconds)

    def __len__(self) -> int:
        return len(self._entries) - self._begin

    def holds(self, seq: int) -> bool:
        """Tell whether everything after number `seq` is here."""
        return self.seq - len(self) <= seq <= self.seq

    def forget_frames(self) -> None:
        """Drop the frames that streams shared; needed whenever entries were added."""
        self._shared.clear()
        self._shared_bytes = 0

    def frame(self, form: Form, audience: Audience, after: int) -> tuple[bytes | None, int]:
        """Return the next frame after number `after` and the last number that it covers.

        The frame is None where nothing is meant for the audience. Raise `LookupError` where entries after `after` are
        gone.
        """
        if not self.holds(after):
            raise LookupError(after)
        key = (form, audience, after)
        found = self._shared.get(key)
        if found is None:
            found = self._frame(form, audience, after)
            self._shared[key] = found
            self._shared_bytes += len(found[0] or b"")
            while self._shared_bytes > SHARED_BYTES and len(self._shared) > 1:  # streams go on at about the same pace
                self._shared_bytes -= len(self._shared.pop(next(iter(self._shared)))[0] or b"")
        return found

    def _frame(self, form: Form, audience: Audience, after: int) -> tuple[bytes | None, int]:
        chosen: list[Entry] = []
        size = 0
        start = len(self._entries) - (self.seq - after)
        for place in range(start, len(self._entries)):
            entry = self._entries[place]
            if not audience.takes(entry.user, entry.job):
                continue
            size += len(entry.line)
            if chosen and (size > FRAME_BYTES or len(chosen) == FRAME_EVENTS):
                return form(chosen), entry.seq - 1
            chosen.append(entry)
        return (form(chosen) if chosen else None), self.seq


def line(document: dict[str, Any]) -> bytes:
    """Write an object as one line of JSON for any reader: what is not finite becomes null, what is no JSON its text."""
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(_plain(document), separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if depth > 100:
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return str(value)


def websocket_form(entries: Iterable[Entry]) -> bytes:
    """Write a frame of a websocket."""
    return b'{"type":"events","events":[' + b",".join(entry.line for entry in entries) + b"]}"
