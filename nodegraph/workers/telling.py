"""Tells the server what happens in a job, and keeps what became of each node."""

from __future__ import annotations

import logging
import math
import mimetypes
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from nodegraph.diffusion.values import Image
from nodegraph.engine import events
from nodegraph.engine.call import message_of
from nodegraph.engine.events import Event, dump
from nodegraph.workers.channel import Channel
from nodegraph.workers.memory import Meter, is_disk_full, is_exhausted
from nodegraph.workers.previews import Previews

log = logging.getLogger(__name__)
MOST_NODES: Final = 4000
"""Nodes of a job, those of expansions included, whose outcome is kept."""
MOST_WARNINGS: Final = 10
"""Of a node."""
LONGEST_TRACE: Final = 20_000
"""Characters of a traceback in the log."""


class Teller:
    """Hears the events of one job's runs; give it to the runtime as `emit`.

    `types` are those of the nodes that are known beforehand. The first time that a node lacks memory is not told: the
    job is run again for it (`exhausted`, `again`).
    """

    def __init__(
        self,
        job: str,
        channel: Channel,
        previews: Previews,
        redact: Callable[[str], str],
        folders: Mapping[str, Path],
        types: Mapping[str, str],
    ) -> None:
        self._job, self._channel, self._previews, self._redact = job, channel, previews, redact
        self._folders = {kind: path.resolve() for kind, path in folders.items()}
        self._types = dict(types)
        self._meter = Meter()
        self._ordinals: dict[str, int] = {}
        self._warnings: dict[str, list[str]] = {}
        self._retried = False
        self.nodes: dict[str, dict[str, Any]] = {}
        """What became of each node, as `records.NodeRun`."""
        self.failure: dict[str, Any] | None = None
        """The first that failed, as `records.Failure`."""
        self.peaks: dict[str, int] = {}
        self.exhausted: events.Failed | None = None
        """The node that lacked memory the first time."""
        self.at: str | None = None
        """The node that began last."""

    def __call__(self, event: Event) -> None:
        """Take in an event and tell of it."""
        node = event.node
        if node is None:
            return  # the server knows how the job as a whole is
        if isinstance(event, events.Progress):
            self._channel.latest(("progress", self._job, node), self._header(event))
        elif isinstance(event, events.Preview):
            self._previews.show(self._job, node, event.value)
        elif isinstance(event, events.Output):
            self._wrote(node, event)
        elif isinstance(event, events.Failed):
            self._failed(node, event)
        elif isinstance(event, events.Warned):
            self._warned(node, event)
        elif not (isinstance(event, events.Skipped) and self.exhausted is not None and not self._retried):
            self._went_on(node, event)

    def again(self) -> None:
        """Begin the second run, for the node that lacked memory."""
        self._retried = True
        node = self.exhausted.node if self.exhausted is not None else None
        if node is not None:
            self._ordinals.pop(node, None)
            self._channel.tell("retry", job=self._job, node=node, reason="out_of_memory")

    def failed(self, node: str, error: BaseException) -> dict[str, Any]:
        """Return a node's failure in words for the user, having written the whole of it to the log."""
        reference = token_hex(4)
        type_ = self._types.get(node, "")
        log.error("job %s, node %s (%s) [%s]: %s", self._job, node, type_, reference, trace_of(error))
        code = "out_of_memory" if is_exhausted(error) else "disk_full" if is_disk_full(error) else "node_failed"
        message = self._redact(message_of(error))
        if code == "disk_full":
            message = f"there is no room left on the disk ({message})"
        return {"code": code, "message": message, "node": node, "type": type_, "reference": reference}

    def broke(self, error: BaseException) -> None:
        """Take in what ended the run as a whole: it is the failure of the node that was at work."""
        node = self.at or ""
        failure = self.failed(node, error)
        self.failure = self.failure or failure
        self._note(node, "failed", memory=self._measure(), message=failure["message"])
        told = {name: failure[name] for name in ("message", "code", "reference")}
        self._channel.tell("event", job=self._job, event={"event": "failed", "node": node, "time": time.time(), **told})

    def _went_on(self, node: str, event: Event) -> None:
        header = self._header(event)
        type_ = header["event"].get("type")
        if type_:
            self._types[node] = type_
        if isinstance(event, events.Running):
            self.at = node
            self._warnings.pop(node, None)
            self._meter.reset()
        elif isinstance(event, events.Cached) and node in self.nodes:
            return  # the second run finds what the first has made
        elif isinstance(event, events.Finished):
            memory = self._measure()
            message = self._redact("; ".join(self._warnings.get(node, ())))
            header["event"] |= {"memory": memory, "message": message}
            self._note(node, "finished", seconds=event.seconds, memory=memory, message=message)
        elif isinstance(event, events.Cached):
            self._note(node, "cached")
        elif isinstance(event, events.Skipped):
            self._note(node, "skipped", message=f"it needs {event.because}")
        elif isinstance(event, events.Waiting):
            self._note(node, "waiting", memory=self._measure())
        elif isinstance(event, events.Cancelled):
            self._note(node, "cancelled", memory=self._measure())
        self._end_of_node(node, event)
        # Whether the node ends the process or keeps all its threads: the server shall know which one it was.
        self._channel.send(header, now=isinstance(event, events.Running))

    def _failed(self, node: str, event: events.Failed) -> None:
        error = event.error.__cause__ if event.error is not None else None
        cause = error or event.error or RuntimeError(event.message)
        if not self._retried and is_exhausted(cause):
            self.exhausted = self.exhausted or event
            return
        failure = self.failed(node, cause)
        self.failure = self.failure or failure
        header = self._header(event)
        header["event"] |= {name: failure[name] for name in ("message", "code", "reference")}
        self._note(node, "failed", memory=self._measure(), message=failure["message"])
        self._end_of_node(node, event)
        self._channel.send(header)

    def _warned(self, node: str, event: events.Warned) -> None:
        """Tell of a node's warnings, the first of many; they stay with what becomes of it."""
        told = self._warnings.setdefault(node, [])
        if len(told) >= MOST_WARNINGS:
            return
        told.append(event.message)
        log.warning("job %s, node %s (%s): %s", self._job, node, self._types.get(node, ""), event.message)
        header = self._header(event)
        header["event"]["message"] = self._redact(event.message)
        self._channel.send(header)

    def _end_of_node(self, node: str, event: Event) -> None:
        if not isinstance(event, (events.Queued, events.Running)):
            self._previews.forget(self._job, node)  # first: what it sends no more need not be dropped
            self._channel.settle(("progress", self._job, node))
            self._channel.settle(("preview", self._job, node), drop=True)

    def _note(
        self, node: str, state: str, *, seconds: float = 0.0, memory: Mapping[str, int] | None = None, message: str = ""
    ) -> None:
        if len(self.nodes) < MOST_NODES or node in self.nodes:
            told = {"node": node, "type": self._types.get(node, ""), "state": state, "seconds": seconds}
            self.nodes[node] = {**told, "memory": dict(memory or {}), "message": message}

    def _measure(self) -> dict[str, int]:
        peaks = self._meter.read()
        for device, size in peaks.items():
            self.peaks[device] = max(size, self.peaks.get(device, 0))
        return peaks

    def _wrote(self, node: str, event: events.Output) -> None:
        """Tell of a file in one of the job's folders; others are none of the server's."""
        path = event.file.resolve()
        kind = next((kind for kind, folder in self._folders.items() if path.is_relative_to(folder)), None)
        if kind is None:
            log.warning("job %s, node %s: %s is outside the job's folders and is not kept", self._job, node, path)
            return
        ordinal = self._ordinals.get(node, 0)
        self._ordinals[node] = ordinal + 1
        media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        width, height = _size(event.value, path, media)
        self._channel.tell(
            "file", job=self._job, node=node, ordinal=ordinal, kind=kind, media=media, width=width, height=height,
            file=path.relative_to(self._folders[kind]).as_posix(),
        )  # fmt: skip

    def _header(self, event: Event) -> dict[str, Any]:
        told = {name: None if _is_odd(value) else value for name, value in dump(event).items()}
        return {"tell": "event", "job": self._job, "event": told}


def _is_odd(value: object) -> bool:
    """Tell whether JSON has no form for a number."""
    return isinstance(value, float) and not math.isfinite(value)


def trace_of(error: BaseException) -> str:
    """Return an error with its traceback, cut where it is too long for a log."""
    import traceback

    try:
        text = "".join(traceback.format_exception(error))
    except Exception as broken:  # noqa: BLE001 - an exception's own text may fail
        text = f"{type(error).__name__}, whose text cannot be told ({type(broken).__name__})"
    return text if len(text) <= LONGEST_TRACE else f"{text[:LONGEST_TRACE]}... ({len(text)} characters)"


def _size(value: object, path: Path, media: str) -> tuple[int | None, int | None]:
    """Return width and height of what a file shows, from the value or from the file's header."""
    if isinstance(value, Image):
        return int(value.pixels.shape[2]), int(value.pixels.shape[1])
    if media not in ("image/png", "image/jpeg", "image/webp", "image/gif"):
        return None, None
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as file:
            return file.size
    except Exception:  # noqa: BLE001 - decoders raise anything on damaged files
        return None, None
