"""The engine's exceptions, and the form in which it reports what is wrong with a workflow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nodegraph.engine.nearest import nearest

SHOWN = 100
"""How many problems the text of an error shows; `problems` holds all of them."""


class NodegraphError(Exception):
    """Base of every error that nodegraph raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, told so that a person can mend it: where, what was got, what would fit."""

    code: str
    """A stable identifier, such as `unknown_node_type`, for programs."""
    message: str
    """One sentence that names what was got and what would fit."""
    node: str | None = None
    """The node's id; inside subgraphs a path such as `upscale/resize`. None: the file as a whole."""
    field: str | None = None
    """The place within the node, such as `params.steps` or `links.model`."""
    got: object = None
    expected: str | None = None
    nearest: object = None
    """The nearest valid value, where one is near."""

    def __str__(self) -> str:
        """Return `node.field: message (did you mean 'x'?)`."""
        place = ".".join(part for part in (self.node, self.field) if part)
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest is not None else ""
        return f"{place}: {self.message}{hint}" if place else f"{self.message}{hint}"


class WorkflowError(NodegraphError):
    """A workflow that cannot run; `problems` holds everything that is wrong with it, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "the workflow has 1 problem" if count == 1 else f"the workflow has {count} problems"
        lines = [f"  {problem}" for problem in self.problems[:SHOWN]]
        if count > SHOWN:
            lines.append(f"  ... and {count - SHOWN} more")
        super().__init__("\n".join([f"{head}:", *lines]))


class PluginError(NodegraphError):
    """A plugin that cannot be used: it fails to import, clashes with another or has a wrong hook."""


class NodeError(NodegraphError):
    """A node that failed while it ran; the cause is chained."""

    def __init__(self, node: str, type_: str, message: str) -> None:
        self.node, self.type = node, type_
        super().__init__(f"node {node!r} ({type_}) failed: {message}")


class StrictError(NodegraphError):
    """What a node warned of in a strict run, where a warning is a failure."""


class Cancelled(NodegraphError):  # noqa: N818 - a signal, not a fault
    """The run was cancelled."""


class Waiting(NodegraphError):  # noqa: N818 - a signal, not a fault
    """A node cannot go on before a person has answered it."""

    def __init__(self, node: str, question: str, choices: Iterable[Any] = ()) -> None:
        self.node, self.question, self.choices = node, question, tuple(choices)
        among = f" ({', '.join(map(told, self.choices))})" if self.choices else ""
        super().__init__(f"node {node!r} waits for an answer: {question}{among}")


def told(value: object) -> str:
    """Return a JSON value as a message shows it: its text, shortened, and its kind where that is not plain."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list) and len(value) > 8:
        return f"a list of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return f"a Python {type(value).__name__}"
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return f"the text {shown}" if isinstance(value, str) else shown


class Problems(list[Problem]):
    """The problems found so far; hints are looked for only while someone will read them."""

    def report(self, code: str, message: str, **place: Any) -> None:
        """Add a problem."""
        self.append(Problem(code, message, **place))

    def hint(self, name: str, names: Iterable[str]) -> str | None:
        """Return the one of `names` that `name` was probably meant to be."""
        return nearest(name, names) if len(self) < SHOWN else None

    def raise_any(self) -> None:
        """Raise `WorkflowError` if there is a problem."""
        if self:
            raise WorkflowError(self)
