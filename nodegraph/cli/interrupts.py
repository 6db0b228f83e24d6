"""Ctrl-C and SIGTERM ask a run to stop; the second time they end the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nodegraph.cli.exits import Exit
from nodegraph.engine.context import CancelToken

CANCELLING = "cancelling after the step at work (once more stops at once)"
SHOW_CURSOR = "\x1b[?25h\n"
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""SIGBREAK is Ctrl-Break, on Windows alone."""


@contextmanager
def cancelling(token: CancelToken, *, announce: bool = True) -> Iterator[None]:
    """Let signals cancel `token` while the block runs; do nothing outside the main thread, which alone gets them.

    With `announce` a line on stderr says so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            _die()
        token.cancel()
        if announce:
            _say(f"{CANCELLING}\n")

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _die() -> None:
    """End without tidying up: a step that does not end cannot be asked to."""
    if sys.stderr.isatty():
        _say(SHOW_CURSOR)
    os._exit(Exit.CANCELLED)


def _say(text: str) -> None:
    # A signal may come while the same stream is being written, which a buffered write does not allow: past the buffer.
    try:
        os.write(sys.stderr.fileno(), text.encode())
    except (OSError, ValueError):  # no such stream, as under pythonw or a test's capture
        return
