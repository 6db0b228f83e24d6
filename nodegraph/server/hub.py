"""The hub: what happens is told to every stream that may know, in order, serialised once, waiting for none of them.

Events get their numbers at a tick and stand in a ring; a stream is a place in the ring, so that a slow one holds up no
other, and one that comes back goes on where it was. Pictures shown in between are not events: each stream keeps the
newest of each node, within a bound, and may never get some.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from struct import Struct
from typing import Any

from nodegraph.server.errors import ApiError
from nodegraph.server.ring import Audience, Form, Ring, line
from nodegraph.server.security.principal import Principal
from nodegraph.server.settings import Limits
from nodegraph.server.snapshots import Snapshots

TICK = 0.05
RING_LENGTH, RING_BYTES, RING_SECONDS = 8192, 32 * 2**20, 15.0
"""Beyond its length the ring keeps what is younger than this, so that a burst cuts nobody who reads."""
PREVIEW_SECONDS = 0.1
"""Between two previews of a node."""
PREVIEW_BYTES = 2 * 2**20
"""Of previews that wait for one stream; also the longest single one."""
LATEST = 64
"""Previews kept for streams that begin later."""
RESYNC, GOING_AWAY, DISMISSED = 4008, 1001, 4001
"""Close codes: fell behind, the server stops, the user may not listen any more."""
END_SECONDS = 2.0
"""How long a stream that ends may take for its last words."""
MERGED = frozenset({"node.progress", "queue.changed", "batch.changed"})
OVER = frozenset({"job.done", "job.failed", "job.cancelled", "job.deleted", "job.queued"})
HEADER_LENGTH = Struct(">I")


@dataclass(frozen=True, slots=True)
class Cut:
    """Why a stream ends: a websocket's close code, and a word."""

    code: int
    reason: str


@dataclass(slots=True)
class _Pending:
    type: str
    time: float
    user: str | None
    job: str | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Preview:
    user: str
    frame: bytes


class Subscription:
    """A stream's place: what it has been sent, what it wants, what waits for it. Made by `Hub.subscribe`."""

    def __init__(self, hub: Hub, audience: Audience, cursor: int, *, replayed: bool, previews: bool) -> None:
        self._hub = hub
        self.audience = audience
        self.cursor = cursor
        """The number of the last event that it was sent, or that was not meant for it."""
        self.replayed = replayed
        """Whether it goes on where it was; otherwise it needs a snapshot first."""
        self.previews = previews
        self.cut: Cut | None = None
        self._waiting: dict[tuple[str, str], bytes] = {}
        self._bytes = 0
        self._something = asyncio.Event()
        self._something.set()
        self._abort: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Wait until there may be something to send, or `cut` is set."""
        await self._something.wait()
        self._something.clear()

    def frame(self, form: Form) -> bytes | None:
        """Take the next events as one frame, None when there are none; sets `cut` where the ring went on without it."""
        while self.cursor < self._hub.seq and (self.cut is None or self.cut.code == GOING_AWAY):
            try:
                found, self.cursor = self._hub.ring.frame(form, self.audience, self.cursor)
            except LookupError:
                self.end(Cut(RESYNC, "resync"))
                return None
            if found is not None:
                return found
        return None

    def preview(self) -> bytes | None:
        """Take the preview that has waited longest: the node's newest, as a binary frame."""
        if not self._waiting:
            return None
        found = self._waiting.pop(next(iter(self._waiting)))
        self._bytes -= len(found)
        return found

    def choose(self, *, previews: bool | None = None, jobs: Collection[str] | None = None) -> None:
        """Say anew what it wants; `jobs` None: all of the user's."""
        self.previews = self.previews if previews is None else previews
        chosen = None if jobs is None else frozenset(jobs)
        self.audience = Audience(self.audience.user, self.audience.everything, chosen)
        self._waiting.clear()
        self._bytes = 0
        self._hub.chosen(self)

    def offer(self, job: str, node: str, preview: _Preview) -> None:
        """Put a preview where it is wanted, in place of an older one; the oldest give way beyond the bound."""
        if not self.previews or not self.audience.takes(preview.user, job):
            return
        self._bytes += len(preview.frame) - len(self._waiting.pop((job, node), b""))
        self._waiting[job, node] = preview.frame
        while self._bytes > PREVIEW_BYTES and len(self._waiting) > 1:
            self.preview()
        self.wake()

    def forget(self, job: str) -> None:
        """Drop the previews of a job that is over."""
        for key in [key for key in self._waiting if key[0] == job]:
            self._bytes -= len(self._waiting.pop(key))

    def wake(self) -> None:
        """Let `wait` return."""
        self._something.set()

    def end(self, cut: Cut) -> None:
        """Let the stream end for a reason; the first one counts."""
        if self.cut is None:
            self.cut = cut
            self.wake()
            if self._abort is not None:
                self._timer = asyncio.get_running_loop().call_later(END_SECONDS, self._abort)

    def on_end(self, abort: Callable[[], None]) -> None:
        """Call `abort` where the stream is not closed in time after its end: its client takes nothing."""
        self._abort = abort

    def close(self) -> None:
        """Give up the place."""
        if self._timer is not None:
            self._timer.cancel()
        self._abort = None
        self._hub.leave(self)


class Hub:
    """Tells what happens. All methods are for the event loop's thread; none waits for a stream."""

    def __init__(self, limits: Limits | None = None, *, tick: float = TICK, ring: Ring | None = None) -> None:
        self._limits = limits or Limits()
        self._tick_seconds = tick
        self.epoch = secrets.token_hex(4)
        """Names this run of the server; numbers of another one say nothing here."""
        self.ring = Ring(RING_LENGTH, RING_BYTES, RING_SECONDS) if ring is None else ring
        self.snapshots = Snapshots(lambda: self.ring.seq)
        self.cuts = 0
        """How many streams fell behind."""
        self._pending: list[_Pending] = []
        self._merge: dict[tuple[Any, ...], int] = {}
        self._fresh: dict[tuple[str, str], _Preview] = {}
        self._latest: dict[tuple[str, str], _Preview] = {}
        self._shown: dict[tuple[str, str], float] = {}
        self._pictured: set[str] = set()
        """Jobs that had previews."""
        self._streams: dict[Subscription, None] = {}
        self._watchers: list[Callable[[], None]] = []
        self._handle: asyncio.TimerHandle | None = None
        self._ticked = 0.0
        self._stopped = False

    @property
    def seq(self) -> int:
        """The number of the last event that streams may have."""
        return self.ring.seq

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def publish(self, type: str, data: dict[str, Any], *, user: str | None, job: str | None = None) -> None:
        """Tell that something happened, to `user` or, None, to everybody; `data` is not touched any more after that.

        Of `node.progress` of a node, `queue.changed` of a user and `batch.changed` of a batch the last one within a
        tick stands for all, so each must tell everything.
        """
        pending = _Pending(type, time.time(), user, job, data)
        if type in MERGED:
            key = (type, user, job, data.get("node"), data.get("id"))
            place = self._merge.setdefault(key, len(self._pending))
            if place < len(self._pending):
                self._pending[place] = pending
                return
        elif job is not None:  # what is told of a job afterwards does not move before this
            self._merge = {key: place for key, place in self._merge.items() if key[2] != job}
            if type in OVER and job in self._pictured:
                self._forget(job)
        self._pending.append(pending)
        self._schedule()

    def preview(self, user: str, job: str, node: str, media: str, width: int, height: int, data: bytes) -> None:
        """Show what a node has so far: at most ten times a second, the newest; one beyond the bound is dropped."""
        if len(data) > PREVIEW_BYTES:
            return
        header = line({"type": "preview", "job": job, "node": node, "media": media, "width": width, "height": height})
        self._pictured.add(job)
        self._fresh[job, node] = _Preview(user, HEADER_LENGTH.pack(len(header)) + header + data)
        self._schedule()

    def subscribe(
        self,
        who: Principal,
        since: str | None = None,
        *,
        everything: bool = False,
        previews: bool = False,
        jobs: Collection[str] | None = None,
    ) -> Subscription:
        """Open a stream for a user, going on after `since` (`epoch:seq`) where the ring still has all that came after.

        `everything` means events of all users, which is the caller's to allow. Raises `ApiError` 429 or 503 beyond the
        limits.
        """
        self._admit(who.user)
        place = self._place(since)
        audience = Audience(who.user, everything, None if jobs is None else frozenset(jobs))
        cursor = self.seq if place is None else place
        stream = Subscription(self, audience, cursor, replayed=place is not None, previews=previews)
        self._streams[stream] = None
        self.chosen(stream)
        return stream

    def watched(self, user: str, job: str) -> bool:
        """Tell whether anybody looks at previews of a job."""
        return any(stream.previews and stream.audience.takes(user, job) for stream in self._streams)

    def on_watch(self, callback: Callable[[], None]) -> None:
        """Call back whenever the answers of `watched` may have changed."""
        self._watchers.append(callback)

    def dismiss(self, user: str) -> None:
        """End the streams of a user who may not listen any more."""
        for stream in self._streams:
            if stream.audience.user == user:
                stream.end(Cut(DISMISSED, "the token is no longer valid"))

    def stop(self) -> None:
        """Send what is there, end all streams, admit no more."""
        self.flush()
        self._stopped = True
        for stream in self._streams:
            stream.end(Cut(GOING_AWAY, "the server stops"))

    def flush(self) -> None:
        """Number what was published and wake the streams; done by itself at each tick."""
        pending, self._pending = self._pending, []
        self._merge.clear()
        self._ticked = time.monotonic()
        if not pending:
            return
        users, before = {event.user for event in pending}, self.seq
        for event in pending:
            self.ring.append(event.user, event.job, _line(event), self._ticked)
        self.ring.forget_frames()
        for stream in self._streams:
            if None in users or stream.audience.everything or stream.audience.user in users:
                stream.wake()
            elif stream.cursor == before:  # nothing of it is meant for this one
                stream.cursor = self.seq

    def chosen(self, stream: Subscription) -> None:
        """Take note of what a stream wants: previews that are there already are offered at once."""
        for (job, node), preview in self._latest.items():
            stream.offer(job, node, preview)
        self._call_watchers()

    def leave(self, stream: Subscription) -> None:
        """Give up a stream's place."""
        if stream in self._streams:
            del self._streams[stream]
            self.cuts += stream.cut is not None and stream.cut.code == RESYNC
            self._call_watchers()

    def _admit(self, user: str) -> None:
        if self._stopped:
            raise ApiError(503, "stopping", "the server stops", headers={"Retry-After": "5"})
        if len(self._streams) >= self._limits.sockets:
            text = f"there are {self._limits.sockets} event streams already, which is the limit"
            raise ApiError(503, "too_many_streams", text, headers={"Retry-After": "10"})
        if sum(stream.audience.user == user for stream in self._streams) >= self._limits.sockets_each:
            text = f"you have {self._limits.sockets_each} event streams already, which is the limit"
            raise ApiError(429, "too_many_streams", text, headers={"Retry-After": "10"})

    def _place(self, since: str | None) -> int | None:
        epoch, _, number = (since or "").partition(":")
        if epoch != self.epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return None
        return int(number) if self.ring.holds(int(number)) else None

    def _schedule(self) -> None:
        if self._handle is None:
            wait = max(0.0, self._ticked + self._tick_seconds - time.monotonic())
            self._handle = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._handle = None
        self.flush()
        self._show()
        if self._fresh:
            self._schedule()

    def _show(self) -> None:
        now = time.monotonic()
        for key in [key for key in self._fresh if now - self._shown.get(key, -1.0) >= PREVIEW_SECONDS]:
            preview = self._fresh.pop(key)
            self._shown[key] = now
            self._latest.pop(key, None)
            self._latest[key] = preview
            if len(self._latest) > LATEST:
                self._drop(next(iter(self._latest)))
            for stream in self._streams:
                stream.offer(*key, preview)

    def _forget(self, job: str) -> None:
        self._pictured.discard(job)
        for kept in (self._fresh, self._shown):
            for key in [key for key in kept if key[0] == job]:
                self._drop(key)
        for stream in self._streams:
            stream.forget(job)

    def _drop(self, key: tuple[str, str]) -> None:
        self._fresh.pop(key, None)
        self._latest.pop(key, None)
        self._shown.pop(key, None)

    def _call_watchers(self) -> None:
        for callback in self._watchers:
            callback()


def _line(event: _Pending) -> bytes:
    document: dict[str, Any] = {"time": round(event.time, 3), "type": event.type}
    if event.job is not None:
        document["job"] = event.job
    return line({**document, "data": event.data})
