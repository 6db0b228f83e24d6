"""How far a run has come, counted from its events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodegraph.engine import events

GOING_ON = (events.Queued, events.Running, events.Progress, events.Preview, events.Output, events.Warned)
"""Events after which a node is still at work."""


@dataclass
class Work:
    """A node at work: `value` of `total` steps are done, or it does not tell (`total` is 0)."""

    node: str
    type: str
    started: float
    value: float = 0.0
    total: float = 0.0
    message: str = ""
    _first: tuple[float, float] | None = None
    """Time and value of its first progress: what came before it, such as reading weights, is no step."""

    def advance(self, event: events.Progress, now: float) -> None:
        """Take in how far the node has come."""
        if event.value < self.value:  # it has begun another round
            self._first = None
        self.value, self.total, self.message = event.value, event.total, event.message
        if self._first is None:
            self._first = (now, event.value)

    def rate(self, now: float) -> float:
        """Return steps a second, 0 where nothing can be told yet."""
        start, done = self._first or (now, 0.0)
        return (self.value - done) / (now - start) if self.value > done and now > start else 0.0

    def left(self, now: float) -> float | None:
        """Return the seconds that it will take from now on, or None where nothing can be told yet."""
        rate = self.rate(now)
        return (self.total - self.value) / rate if rate and self.total else None


@dataclass
class Tally:
    """The nodes of a run: which are at work, and what became of the others."""

    clock: Callable[[], float] = time.monotonic
    started: float = 0.0
    at_work: dict[str, Work] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Every node that was told of so far; one may expand into more."""
    expected: int = 0
    """How many nodes there are, where that is known before they are told of."""
    run: set[str] = field(default_factory=set)
    reused: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Nodes that could not run, and which failed node that is due to."""
    asking: set[str] = field(default_factory=set)
    """Nodes that wait for an answer."""
    types: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """Return how long it has been going on."""
        return self.clock() - self.started

    @property
    def total(self) -> int:
        """Return how many nodes there are, as far as is known."""
        return max(len(self.known), self.expected)

    @property
    def done(self) -> int:
        """Return how many nodes are through, one way or another."""
        return len(self.run | self.reused | self.failed.keys() | self.skipped.keys() | self.asking)

    def add(self, event: events.Event) -> Work | None:
        """Take an event in; return the work of the node that it is about, if that is or was at work."""
        node = event.node
        if node is None:
            return None
        self.known.add(node)
        self.types[node] = getattr(event, "type", "") or self.types.get(node, "")
        work = self.at_work.get(node)
        match event:
            case events.Running():
                work = self.at_work[node] = Work(node, self.types[node], self.clock())
            case events.Progress() if work is not None:
                work.advance(event, self.clock())
            case events.Cached():
                self.reused.add(node)
            case events.Finished():
                self.run.add(node)
            case events.Failed():
                self.failed[node] = event.message
            case events.Waiting():
                self.asking.add(node)
            case events.Skipped():
                self.skipped[node] = event.because
        if not isinstance(event, GOING_ON):
            self.at_work.pop(node, None)
        return work
