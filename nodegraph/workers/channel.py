"""A child's end of the pipes: a thread that reads frames, one that writes them, and what may be left out of them.

Frames go out in the order in which they were sent. Two kinds are thinned: of what is sent as `latest` under a key,
only the newest goes out, at most once an interval; what comes after in the normal way may take it along (`settle`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, BinaryIO, Final, NoReturn

from nodegraph.server.protocol import HEAD, Header, decode, encode, lengths

log = logging.getLogger(__name__)
Frame = tuple[Header, bytes]
INTERVAL: Final = 0.1
"""Seconds between two frames of a key."""
MOST_WAITING: Final = 4096
"""Frames that wait to be written before whoever sends another waits too."""


class Channel:
    """The pipes to the server, by the descriptors to read from and to write to."""

    def __init__(self, take: int, give: int) -> None:
        self._take: BinaryIO = os.fdopen(take, "rb")
        self._give = give
        self._change = threading.Condition()
        self._writing = threading.Lock()
        """Held from taking frames off to having written them, so that their order stays."""
        self._frames: deque[bytes] = deque()
        self._latest: dict[Hashable, bytes] = {}
        self._sent: dict[Hashable, float] = {}
        self._beat: Callable[[], Header] | None = None

    def start(self, on_frame: Callable[[Header, bytes], None]) -> Header:
        """Read the configuration, then hand each further frame to `on_frame`, in a thread; return the configuration."""
        config, _ = self._read()
        for target in (self._write_all, self._read_all):
            arguments = (on_frame,) if target == self._read_all else ()
            threading.Thread(target=target, args=arguments, name=target.__name__, daemon=True).start()
        return config

    def beat(self, header: Callable[[], Header]) -> None:
        """Send what `header` gives each second."""
        with self._change:
            self._beat = header
            self._change.notify()

    def send(self, header: Header, payload: bytes = b"", *, now: bool = False) -> None:
        """Send a frame; waits while too many wait to be written, with `now` until it is written itself.

        What comes after `now` may end the process, or keep its other threads from running. Raise `TypeError` or
        `ValueError` where the header is no JSON or the frame is too long.
        """
        frame = encode(header, payload)
        with self._change:
            self._change.wait_for(lambda: len(self._frames) < MOST_WAITING)
            self._frames.append(frame)
            if not now:
                self._change.notify_all()
        if now:
            with self._writing:
                self._write(self._waiting())

    def tell(self, kind: str, /, **fields: Any) -> None:
        """Inform the server."""
        self.send({**fields, "tell": kind})

    def reply(self, call: int, result: Any, payload: bytes = b"") -> None:
        """Answer a call."""
        self.send({"reply": call, "result": result}, payload)

    def refuse(self, call: int, code: str, message: str, problems: Any = ()) -> None:
        """Answer a call with an error."""
        self.send({"reply": call, "error": {"code": code, "message": message, "problems": list(problems)}})

    def latest(self, key: Hashable, header: Header, payload: bytes = b"") -> None:
        """Send a frame unless a newer one of its key comes before it is due."""
        frame = encode(header, payload)
        with self._change:
            self._latest[key] = frame
            self._change.notify_all()

    def settle(self, key: Hashable, *, drop: bool = False) -> None:
        """Send the frame of a key that waits at once, before what is sent next; or drop it."""
        with self._change:
            frame = self._latest.pop(key, None)
            self._sent.pop(key, None)
            if frame is not None and not drop:
                self._frames.append(frame)
                self._change.notify_all()

    def flush(self, timeout: float = 2.0) -> None:
        """Wait until what was sent is on its way, before the process ends."""
        with self._change:
            self._change.wait_for(lambda: not self._frames, timeout)
        with self._writing:  # the last frame has been taken off, and is written when this is free
            pass

    def _read(self) -> Frame:
        head = self._take.read(HEAD.size)
        if len(head) < HEAD.size:
            _end()
        header, payload = lengths(head)
        text = self._take.read(header)
        body = self._take.read(payload) if payload else b""
        if len(text) < header or len(body) < payload:
            _end()
        return decode(text), body

    def _read_all(self, on_frame: Callable[[Header, bytes], None]) -> None:
        try:
            while True:
                on_frame(*self._read())
        except BaseException:  # without this thread nobody could reach the process any more
            log.exception("the server's frames can no longer be read")
            os._exit(1)

    def _write_all(self) -> None:
        due = 0.0
        while True:
            due = self._await_frames(due)
            with self._writing:
                self._write(self._waiting())

    def _await_frames(self, beat_due: float) -> float:
        """Wait until something is to be written; return when the next heartbeat is due."""
        with self._change:
            while True:
                now = time.monotonic()
                wait = 1.0
                for key in list(self._latest):
                    left = self._sent.get(key, 0.0) + INTERVAL - now
                    if left <= 0:
                        self._frames.append(self._latest.pop(key))
                        self._sent[key] = now
                    else:
                        wait = min(wait, left)
                if self._beat is not None and now >= beat_due:
                    self._frames.append(encode(self._beat()))
                    beat_due = now + 1.0
                if self._frames:
                    return beat_due
                self._change.wait(min(wait, max(0.0, beat_due - now)) if self._beat is not None else wait)

    def _waiting(self) -> list[bytes]:
        """Take off what waits to be written."""
        with self._change:
            frames = list(self._frames)
            self._frames.clear()
            self._change.notify_all()
        return frames

    def _write(self, frames: list[bytes]) -> None:
        try:
            for frame in frames:
                view = memoryview(frame)
                while view:
                    view = view[os.write(self._give, view) :]
        except OSError:  # the server has gone
            _end()


def _end() -> NoReturn:
    """End this process at once: whoever it worked for has gone."""
    os._exit(0)
