"""What happens during a run, one frozen class a thing. `node` is None where the run as a whole is meant.

The nodes of a subgraph or an expansion, and the items of a mapped node, have a path: `loop/3/blur`, `blur/0`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from nodegraph.engine.spec import Json


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: whom it is about and when it happened (seconds since the epoch)."""

    kind: ClassVar[str]
    node: str | None
    time: float = field(default_factory=time.time, kw_only=True)


@dataclass(frozen=True, slots=True)
class Queued(Event):
    """A node will run, as far as the plan can tell."""

    kind = "queued"
    type: str = ""


@dataclass(frozen=True, slots=True)
class Running(Event):
    """A node, or the run, has begun."""

    kind = "running"
    type: str = ""


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """A node has done `value` of `total`."""

    kind = "progress"
    value: float
    total: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Preview(Event):
    """A node shows what it has so far; `value` is whatever the node gave."""

    kind = "preview"
    value: Any


@dataclass(frozen=True, slots=True)
class Output(Event):
    """A sink has given something: `file` is the path of what it wrote, `value` what the file shows."""

    kind = "output"
    file: Path
    value: Any = None


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """A node goes on, but what it gives is hardly what was wanted."""

    kind = "warned"
    message: str


@dataclass(frozen=True, slots=True)
class Cached(Event):
    """A node's result was taken from the cache."""

    kind = "cached"
    type: str = ""


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """A node, or the run, has ended well; `seconds` counts its own work, not that of nodes it expanded into."""

    kind = "finished"
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A node has failed; of the run: at least one has."""

    kind = "failed"
    message: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """A node asks a person, and goes on when a later run has the answer; of the run: at least one does."""

    kind = "waiting"
    question: str
    choices: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped(Event):
    """A node cannot run because `because`, which it needs, has failed or waits for an answer."""

    kind = "skipped"
    because: str


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """A node was stopped, or the run was."""

    kind = "cancelled"


def dump(event: Event) -> dict[str, Json]:
    """Return an event as JSON: `event` is its kind; of values that JSON has no form for, the type's name is told."""
    data: dict[str, Json] = {"event": event.kind}
    for entry in fields(event):
        data[entry.name] = _plain(getattr(event, entry.name))
    return data


def _plain(value: object) -> Json:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return type(value).__name__
