"""A task: a node of the graph while it is planned and run. Internal; `executor` tells the policy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.engine.graph import Instance
from nodegraph.engine.spec import NodeSpec

if TYPE_CHECKING:
    from nodegraph.engine.explain import Trace
    from nodegraph.engine.naming import Signature
    from nodegraph.engine.splice import Splice


class State(Enum):
    """How far a task has come."""

    IDLE = "idle"
    """Nobody has asked for its result."""
    NAMING = "naming"
    """Asked for; its recipe must be known before the cache can be looked into."""
    WAITING = "waiting"
    """Waits for its sources."""
    READY = "ready"
    RUNNING = "running"
    EXPANDED = "expanded"
    """Waits for the tasks that it expanded into."""
    DONE = "done"
    FAILED = "failed"
    ASKING = "asking"
    """Asks a person, who has not answered: to this run it is lost."""
    SKIPPED = "skipped"
    """Cannot run: something it needs has failed, or asks."""
    DROPPED = "dropped"
    """Was asked for, but all that would have read it is gone."""


# Tuples: a member is found by identity, where a set would hash it.
FINAL = (State.DONE, State.FAILED, State.ASKING, State.SKIPPED, State.DROPPED)
PENDING = (State.IDLE, State.NAMING, State.WAITING, State.READY)
LOST = (State.FAILED, State.ASKING, State.SKIPPED)


class Constant(NamedTuple):
    """A value given to a task by the node that expanded into it, the value's name, and the task that made it."""

    value: Any
    name: str
    origin: Task | None = None


class Task:
    """A node while it is planned and run.

    - `links`: port -> (source task, output). `constants`: port -> a value without canonical form, with its name.
    - `given`: the parameters among its instance's that an expansion gave, which nobody has checked.
    - `recipe`: the name of its result, None as long as that is unknown. `reason` tells why it cannot be kept.
    - `volatile`: it has no recipe before it has run (it runs each time, say); afterwards `names` has a name for each
      output. `late`: its recipe is worked out, and the cache asked, when its inputs are there.
    - `text`: what `recipe` is the hash of. `read`: the lazy inputs that it has looked at.
    - `unnamed`: how many strict sources have no name yet; `namers`: the tasks that wait for this one's names.
    - `fleeting`: it read what has a name for this run only, so its own result is not kept.
    - `waiting`: how many of its sources (or of what it expanded into) are still to be made; `waiters`: who waits.
    - `holds`: how many inputs of others may still read its result; at 0 the result is dropped.
    - `counted`: its own links are counted in the holds of its sources.
    """

    __slots__ = (
        "before", "cause", "constants", "counted", "fleeting", "given", "hit", "holds", "id", "instance", "items",
        "late", "links", "namers", "names", "naming", "read", "reason", "recipe", "scope", "seconds", "signature",
        "spec", "splice", "started", "state", "text", "unnamed", "values", "volatile", "waiters", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        instance: Instance,
        signature: Signature,
        links: Mapping[str, tuple[Task, str]],
        constants: Mapping[str, Constant] | None = None,
    ) -> None:
        self.id = self.scope = id
        self.instance, self.signature, self.links, self.constants = instance, signature, links, constants
        self.spec: NodeSpec = instance.spec
        self.given: tuple[str, ...] = ()
        self.recipe: str | None = None
        self.text: str | None = None
        self.names: Mapping[str, str] | None = None
        self.items: Mapping[str, tuple[str, ...]] | None = None
        self.reason = ""
        self.volatile = self.late = self.naming = self.counted = self.started = self.hit = self.fleeting = False
        self.unnamed = self.waiting = self.holds = 0
        self.namers: list[Task] | None = None
        self.waiters: list[Task] | None = None
        self.state = State.IDLE
        self.values: Mapping[str, Any] | None = None
        self.splice: Splice | None = None
        self.cause: str | None = None
        self.seconds = 0.0
        self.read: set[str] | None = None
        self.before: Trace | None = None

    @property
    def named(self) -> bool:
        """Tell whether its outputs have names."""
        return self.recipe is not None or self.names is not None

    def is_lazy(self, port: str) -> bool:
        """Tell whether what is upstream of an input runs only if the node asks for it."""
        return port in self.signature.lazy and port not in self.instance.mapped

    def await_by(self, waiter: Task) -> None:
        """Have another task wait for this one."""
        waiter.waiting += 1
        if self.waiters is None:
            self.waiters = [waiter]
        else:
            self.waiters.append(waiter)

    def name(self, output: str) -> str:
        """Return the name of an output; the task must be `named`."""
        return self.names[output] if self.names is not None else f"{self.recipe}.{output}"

    def item_name(self, output: str, index: int) -> str:
        """Return the name of an item of a list output."""
        names = None if self.items is None else self.items.get(output)
        return f"{self.name(output)}[{index}]" if names is None else names[index]

    def __repr__(self) -> str:
        return f"Task({self.id!r}, {self.state.value})"
