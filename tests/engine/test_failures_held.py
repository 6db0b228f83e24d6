"""What a failure keeps alive: its words and its places, not what the run held."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from nodegraph import node
from nodegraph.engine.events import Event
from nodegraph.engine.executor import Executor


class Large:
    """Stands for what takes gigabytes."""


@node("Make", cache=False)
def make() -> Large:
    return Large()


def test_whoever_keeps_a_failure_does_not_keep_what_the_node_was_given(build: Any) -> None:
    seen: list[weakref.ref[Large]] = []
    told: list[Event] = []

    @node("Break", cache=False)
    def break_(large: Large) -> int:
        seen.append(weakref.ref(large))
        raise ValueError("it broke")

    nodes = {"make": {"type": "Make"}, "break": {"type": "Break", "links": {"large": "make.out"}}}
    result = Executor(emit=told.append).run(build(nodes, make, break_))
    gc.collect()
    assert str(result.failures["break"]).endswith("it broke")
    assert seen[0]() is None
