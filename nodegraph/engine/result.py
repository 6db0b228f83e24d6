"""What a run gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.engine.errors import Cancelled, NodeError, Waiting
from nodegraph.engine.questions import Question


@dataclass(frozen=True)
class Result:
    """What a run gave: complete where nothing failed, nothing waits for an answer and it was not `cancelled`."""

    outputs: Mapping[str, Any]
    """What the workflow exposes by name."""
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The outputs of the targets that were reached: node -> output -> value."""
    failures: Mapping[str, NodeError] = field(default_factory=dict)
    """The nodes that failed, in the order in which they did."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """The nodes that could not run -> the node that each needs and that failed, or waits."""
    waiting: Mapping[str, Question] = field(default_factory=dict)
    """The nodes that ask a person, and what."""
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The nodes that warned, and of what."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """The nodes that ran -> seconds of their own work."""
    reused: tuple[str, ...] = ()
    """The nodes whose results came from the cache."""
    cancelled: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Tell whether everything that was asked for is there."""
        return not self.failures and not self.waiting and not self.cancelled

    def check(self) -> Result:
        """Return the result; raise the first `NodeError`, `Cancelled`, or `Waiting`, where it is not complete."""
        for error in self.failures.values():
            raise error
        if self.cancelled:
            raise Cancelled("the run was cancelled")
        for asked in self.waiting.values():
            raise Waiting(asked.node, asked.question, asked.choices)
        return self
