"""Why a node runs or is reused: what its last recipe was made of, against what it is made of now."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import uuid4

from nodegraph.engine.task import PENDING, State, Task

log = logging.getLogger(__name__)

Action = Literal["run", "reuse", "unneeded", "open"]
HEAD: Final = 4
"""How many lines of a recipe's text tell of its form and of the node type."""
SHOWN: Final = 120
"""How many characters of a value are told."""


_SEEN: Final = (State.DONE, State.FAILED, State.IDLE)


class Trace(NamedTuple):
    """A node's last recipe and the text that it is the hash of; the recipe is empty if the node failed."""

    recipe: str
    text: str


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
        self._traces: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._traces)

    def last(self, task: Task) -> Trace | None:
        """Return what the node was last made of."""
        known = self._traces.get(f"{task.id} {task.spec.id}")
        return None if known is None else Trace(*known)

    def record(self, tasks: Collection[Task]) -> None:
        """Remember what each node is made of now."""
        traces = self._traces
        with self._lock:
            for task in islice(tasks, max(0, len(tasks) - self.limit), None):
                recipe, text = task.recipe, task.text
                if recipe is not None and text is not None and task.state in _SEEN:
                    key = f"{task.id} {task.spec.id}"
                    traces.pop(key, None)  # the order of a dict is that of insertion: the oldest comes first
                    traces[key] = ("" if task.state is State.FAILED else recipe, text)
            for key in list(islice(traces, max(0, len(traces) - self.limit))):
                del traces[key]

    def save(self, path: Path) -> None:
        """Write the history to a file, whole or not at all, for `load` in another process."""
        with self._lock:
            data = {key: (recipe, _short(text)) for key, (recipe, text) in self._traces.items()}
        temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
        try:
            temporary.write_text(json.dumps(data), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Read a history; a file that is missing or not one leaves it empty."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self._traces = {key: (str(recipe), str(text)) for key, (recipe, text) in data.items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("the history of runs %s cannot be read and is begun anew: %s", path, error)


def _short(text: str) -> str:
    """Return a recipe's text with its long lines cut, so that they still differ where the whole lines do."""
    return "\n".join(line if len(line) <= 2 * SHOWN else _cut(line) for line in text.split("\n"))


def _cut(line: str) -> str:
    return f"{line[:SHOWN]}…{hashlib.sha256(line.encode()).hexdigest()[:16]}"


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
    before = task.before
    if before is None:
        return "it runs for the first time"
    if before.recipe == task.recipe:
        return "its result is no longer in the cache"
    if not before.recipe and _short(before.text) == _short(task.text or ""):
        return "it failed the last time"
    old, new = _by_port(_short(before.text)), _by_port(_short(task.text or ""))
    changes = [_change(task, port, old.get(port), new.get(port)) for port in {**new, **old}]
    return "; ".join(change for change in changes if change) or "its recipe has changed"


class _Part(NamedTuple):
    sign: str
    text: str


def _by_port(text: str) -> dict[str, _Part]:
    """Take the text of a recipe apart, by input; what is told of the node type stands under the empty name."""
    lines = text.split("\n")
    found = {"": _Part("", "\n".join(lines[:HEAD]))}
    for line in lines[HEAD:]:
        if line.startswith("$"):
            name, _, value = line.partition("=")
            found[name] = _Part("$", value)
            continue
        end = next((at for at, letter in enumerate(line) if letter in "=<*@&-"), len(line))
        sign = line[end : end + 1]
        found[line[:end] + ("@" if sign == "@" else "")] = _Part(sign, line[end + 1 :])
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
