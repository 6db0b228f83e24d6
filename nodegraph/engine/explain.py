"""Why a node runs or is reused: what its last recipe was made of, against what it is made of now."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from nodegraph.engine.task import PENDING, State, Task

log = logging.getLogger(__name__)

Action = Literal["run", "reuse", "unneeded", "open"]
SHOWN: Final = 120
"""How many characters of a value are told."""


class Trace(NamedTuple):
    """A node's last recipe and the texts that it was made of."""

    recipe: str
    parts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a plan means to do with a node, and why.

    `run`; `reuse` a cached result; `unneeded`: all that reads it is reused; `open`: known when something else has run.
    """

    node: str
    type: str
    action: Action
    reason: str

    def __str__(self) -> str:
        return f"{self.node} ({self.type}): {self.action}, {self.reason}"


class History:
    """What each node, by id and type, was last made of; the `limit` nodes seen last are remembered."""

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self._traces: dict[str, Trace] = {}

    def __len__(self) -> int:
        return len(self._traces)

    def last(self, task: Task) -> Trace | None:
        """Return what the node was last made of."""
        return self._traces.get(f"{task.id} {task.spec.id}")

    def record(self, tasks: Iterable[Task]) -> None:
        """Remember what each node is made of now."""
        traces = self._traces
        for task in tasks:
            if task.recipe is not None and task.parts is not None:
                key = f"{task.id} {task.spec.id}"
                traces.pop(key, None)  # the order of a dict is that of insertion: the oldest comes first
                traces[key] = Trace(task.recipe, task.parts)
        for key in list(traces)[: max(0, len(traces) - self.limit)]:
            del traces[key]

    def save(self, path: Path) -> None:
        """Write the history to a file, whole or not at all, for `load` in another process."""
        data = {key: [trace.recipe, *map(_short, trace.parts)] for key, trace in self._traces.items()}
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Read a history; a file that is missing or not one leaves it empty."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self._traces = {key: Trace(parts[0], parts[1:]) for key, parts in data.items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, IndexError, TypeError) as error:
            log.warning("the history of runs %s cannot be read and is begun anew: %s", path, error)


def _short(part: str) -> str:
    """Return a text that is short and still differs where the whole does."""
    if len(part) <= 2 * SHOWN:
        return part
    return f"{part[:SHOWN]}…{hashlib.sha256(part.encode()).hexdigest()[:16]}"


def explain(tasks: Iterable[Task]) -> tuple[Decision, ...]:
    """Tell of each task what is meant to happen and why."""
    return tuple(Decision(task.id, task.spec.id, *_decide(task)) for task in tasks)


def _decide(task: Task) -> tuple[Action, str]:
    if task.hit:
        return "reuse", "nothing it is made of has changed"
    if task.state is State.IDLE and not task.counted:
        return "unneeded", "what reads it is reused"
    if task.state is State.IDLE and not task.naming:
        return "open", "it runs only if a lazy input asks for it"
    if task.state is State.NAMING or task.naming:
        return "open", f"depends on {_unnamed(task)}, which runs each time"
    if task.state in PENDING or task.started:
        return "run", task.reason or _difference(task)
    return "run", task.reason or "it was asked for"


def _unnamed(task: Task) -> str:
    names = dict.fromkeys(source.id for source, _ in task.links.values() if not source.named)
    return ", ".join(f"`{name}`" for name in names) or "what"


def _difference(task: Task) -> str:
    before, parts = task.before, [] if task.parts is None else [_short(part) for part in task.parts]
    if before is None:
        return "it runs for the first time"
    if before.recipe == task.recipe:
        return "its result is no longer in the cache"
    old = _by_port([_short(part) for part in before.parts])
    new = _by_port(parts)
    changes = [_change(task, port, old.get(port), new.get(port)) for port in {**new, **old}]
    return "; ".join(change for change in changes if change) or "its recipe has changed"


class _Part(NamedTuple):
    sign: str
    text: str


def _by_port(parts: Sequence[str]) -> dict[str, _Part]:
    """Take the texts of a recipe apart: `steps=20`, `image<...`, `ckpt_name@...`, `$device="cpu"`."""
    found: dict[str, _Part] = {"": _Part("", parts[0].split("\n$", 1)[0])}
    for line in parts[0].split("\n")[1:]:
        if line.startswith("$"):
            name, _, text = line.partition("=")
            found[name] = _Part("$", text)
    for part in parts[1:]:
        end = next((at for at, letter in enumerate(part) if letter in "=<*@&-"), len(part))
        sign, text = part[end : end + 1], part[end + 1 :]
        found[part[:end] + ("@" if sign == "@" else "")] = _Part(sign, text)
    return found


def _change(task: Task, port: str, old: _Part | None, new: _Part | None) -> str:
    """Tell what has changed of one input, or nothing."""
    if old == new:
        return ""
    if port == "":
        return "its node type or plugin has a new version"
    if port[0] == "$":
        told = (None if part is None else part.text for part in (old, new))
        return "setting `{}` changed from {} to {}".format(port[1:], *told)
    if port[-1] == "@":
        return f"the file of `{port[:-1]}` changed"
    link = task.links.get(port)
    if link is not None:
        return _upstream(link[0]) if old is not None and old.sign in "<*" else f"`{port}` is now wired"
    if old is None or new is None or "<" in old.sign + new.sign or "-" in old.sign + new.sign:
        return f"`{port}` changed"
    if "&" in old.sign + new.sign:
        return f"the subgraph of `{port}` changed"
    return f"`{port}` changed from {old.text} to {new.text}"


def _upstream(source: Task) -> str:
    return f"upstream `{source.id}` {'changed' if source.hit else 'runs'}"
