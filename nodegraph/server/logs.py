"""The log: lines for people or JSON for programs, on stderr, without secrets; writing it never holds the loop up."""

from __future__ import annotations

import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from typing import Final, Literal, TextIO

Form = Literal["text", "json"]
WAITING: Final = 10_000
"""Lines that may wait for a stderr that takes none; what is beyond is dropped."""
LAST_WORDS: Final = 1.0
"""Seconds that what was logged last may take to be written at the end."""
FIELDS: Final = ("request", "method", "path", "status", "milliseconds", "user", "job", "device", "node")
"""What a record may carry beside its message."""
_CONTROLS: Final = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\ufffd")
"""What could steer a terminal; what nodes print is in the log too."""
_SECRETS: Final = re.compile(
    r"((?:bearer|basic)\s+|(?:token|code|secret|password|api[_-]?key|authorization|nodegraph_session_\d+)[\"']?\s*[=:]\s*[\"']?)"
    r"(?!(?:bearer|basic)\s)[^\s\"'&;,]+",
    re.IGNORECASE,
)


class Redactor:
    """Takes secrets out of text: those that are known, and whatever stands where a secret would."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self.known:
            text = text.replace(secret, "[...]")
        return _SECRETS.sub(r"\1[...]", text)


redact: Final = Redactor()


class TextFormatter(logging.Formatter):
    """A line that begins with time and level; tracebacks follow."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return redact(super().format(record)).translate(_CONTROLS)


class JsonFormatter(logging.Formatter):
    """A JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        entry |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if isinstance(path := entry.get("path"), str):
            entry["path"] = redact(path)
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, default=str)


class _Dropping(QueueHandler):
    """Puts records into a queue and drops them when it is full."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave the record as it is: the thread that writes shares our memory."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record into the queue, without waiting."""
        with suppress(queue.Full):
            self.queue.put_nowait(record)


class _Quiet(logging.StreamHandler[TextIO]):
    """Writes to a stream; where that fails (a full disk, a reader that is gone) there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say nothing."""


@contextmanager
def logging_to_stderr(form: Form, *, debug: bool = False) -> Iterator[None]:
    """Write what nodegraph logs to stderr, by a thread of its own; handlers that were there rest meanwhile.

    For people, requests that went well are left out unless `debug` is asked for.
    """
    stream = _Quiet(sys.stderr)
    stream.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING)
    writer = threading.Thread(target=_write_all, args=(waiting, stream), name="log", daemon=True)
    logger, handler = logging.getLogger("nodegraph"), _Dropping(waiting)
    requests = logging.getLogger("nodegraph.server.access")
    if form == "text" and not debug:
        handler.addFilter(lambda record: record.name != requests.name or getattr(record, "status", 0) >= 500)
    before, level, propagate = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.propagate = False
    writer.start()
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = before, propagate
        logger.setLevel(level)
        with suppress(queue.Full):
            waiting.put(None, timeout=LAST_WORDS)
            writer.join(LAST_WORDS)  # not forever: whoever reads may have stopped to


def _write_all(waiting: queue.Queue[logging.LogRecord | None], handler: logging.Handler) -> None:
    while (record := waiting.get()) is not None:
        handler.handle(record)
