"""What is going on now: devices, and how far the jobs are that run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nodegraph.server.api.routing import API
from nodegraph.server.records import Job, Output
from nodegraph.server.store.kinds import Expected

Json = Any
OVER = frozenset({"finished", "cached", "failed", "skipped", "cancelled", "waiting"})
NODE_EVENTS = OVER | {"queued", "running", "progress", "warned"}


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


class Progress:
    """How far a job that runs is, by what its worker tells; `expected` is how long its kind takes."""

    def __init__(self, expected: Expected | None) -> None:
        self._expected = expected
        self._nodes: dict[str, NodeView] = {}
        self._began = time.monotonic()
        self._weights = {} if expected is None else expected.nodes
        usual = list(self._weights.values())
        self._usual = max(sum(usual) / len(usual), 1e-6) if usual else 1.0
        self._over = self._planned = 0.0
        """Weights of the nodes that are over, and of all that are known; weights are seconds where they are known."""
        self.value = 0.0
        """From 0 to 1, and never back."""

    def take(self, event: Mapping[str, Json]) -> NodeView | None:
        """Take in an event of a node as its worker tells it; return the node as it is now."""
        name, kind = event.get("node"), event.get("event")
        if not isinstance(name, str) or kind not in NODE_EVENTS:
            return None
        before = self._nodes.get(name)
        node = _next(before or NodeView(node=name), str(kind), event)
        if before is None:
            self._planned += self._weight(name)
        was_over = before is not None and before.state in OVER
        self._over += self._weight(name) * ((node.state in OVER) - was_over)
        self._nodes[name] = node
        # Nodes that the plan leaves out never come up; those of the workflow that may yet come up are counted in.
        whole = max(self._planned, self._over, 1e-9)
        done = (self._over + self._part(node)) / whole
        self.value = min(max(self.value, done), 0.999)
        return node

    @property
    def nodes(self) -> tuple[NodeView, ...]:
        """Return the nodes that anything was told of."""
        return tuple(self._nodes.values())

    @property
    def left(self) -> float | None:
        """Return the seconds till it ends; None where nothing is known of its kind."""
        if self._expected is None:
            return None
        known = {name: seconds for name, seconds in self._weights.items() if name in self._nodes}
        if not known:
            return max(0.0, self._expected.total - (time.monotonic() - self._began))
        over = (self._nodes[name].state in OVER for name in known)
        rest = sum(seconds for seconds, ended in zip(known.values(), over, strict=True) if not ended)
        return max(0.0, rest - sum(self._part(node) for node in self._nodes.values() if node.state == "running"))

    def _weight(self, name: str) -> float:
        return max(self._weights.get(name, self._usual), 1e-6)

    def _part(self, node: NodeView) -> float:
        if node.state != "running" or not node.total or node.value is None:
            return 0.0
        return self._weight(node.node) * min(1.0, max(0.0, node.value / node.total))


def _next(node: NodeView, kind: str, event: Mapping[str, Json]) -> NodeView:
    """Return a node as it is after an event."""
    changes: dict[str, Any] = {} if kind in ("progress", "warned") else {"state": kind, "message": ""}
    for name, types in (("type", str), ("message", str), ("seconds", (int, float)), ("memory", dict)):
        if event.get(name) and isinstance(event[name], types):
            changes[name] = event[name]
    if kind == "progress":
        changes |= {"state": "running", "value": event.get("value"), "total": event.get("total")}
    elif kind == "running":
        changes |= {"value": None, "total": None}
    return replace(node, **changes)


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
    """Return an output as events and answers tell it, as JSON; what opens it stands in `url` and `thumbnail`."""
    url = f"{API}/outputs/{output.id}"
    told = {name: value for name, value in asdict(output).items() if name not in ("user", "there")}
    return {**told, "url": url, "thumbnail": f"{url}/thumbnail" if output.media.startswith("image/") else None}


def device_json(device: Device) -> dict[str, Json]:
    """Return a device as events and answers tell it, as JSON: of its process only what concerns users."""
    return {name: value for name, value in asdict(device).items() if name != "pid"}
