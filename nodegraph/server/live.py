"""What is going on now: devices, and how far the jobs are that run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nodegraph.server.records import Job, Output

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A worker and what it is at."""

    id: str
    """The device's name, such as `cuda:0`; a second worker of it is `cuda:0#2`; `auto` while it is not known yet."""
    device: str
    state: str
    """`starting`, `idle`, `busy`, `paused`, `restarting` or `dead` (it did not start several times; tried further)."""
    job: str | None = None
    """What it runs; a device that is paused may still run its last job."""
    pid: int | None = None
    memory: int = 0
    """Bytes that the worker holds, as it last told."""
    since: float = 0.0
    """When it came to this state."""
    restarts: int = 0
    reason: str = ""
    """Why it is paused, or why its process ended last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node of a job that runs or ran."""

    node: str
    type: str = ""
    state: str = "queued"
    """`queued`, `running`, `waiting`, or as in `NodeRun.state`."""
    value: float | None = None
    total: float | None = None
    message: str = ""
    seconds: float = 0.0
    memory: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job, and what is known of it beyond its record."""

    job: Job
    progress: float = 0.0
    """From 0 to 1; 1 only when it is done."""
    nodes: tuple[NodeView, ...] = ()
    place: int | None = None
    """How many jobs are likely to begin before it; None where it is not queued."""
    left: float | None = None
    """Seconds till it ends, the queue before it included, judged by past runs; None where nothing is known."""
    cancelling: bool = False
    """It was asked to stop and has not yet."""


def summary(job: Job) -> dict[str, Json]:
    """Return what lists and events tell of a job, as JSON."""
    names = ("id", "seq", "user", "name", "client", "priority", "position", "batch", "index", "retry_of", "attempts")
    more = ("nodes", "device", "created", "started", "ended", "seconds")
    told: dict[str, Json] = {"state": job.state.value}
    told |= {name: getattr(job, name) for name in (*names, *more)}
    told["failure"] = None if job.failure is None else asdict(job.failure)
    told["questions"] = [asdict(question) for question in job.questions]
    return told


def output_json(output: Output) -> dict[str, Json]:
    """Return what events tell of an output, as JSON."""
    return asdict(output)
