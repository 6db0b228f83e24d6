"""What the host process answers, and the errors with which it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.server.errors import ApiError
from nodegraph.server.records import Json


class InvalidWorkflow(ApiError):  # noqa: N818 - called what it is about, as WorkflowError's sibling
    """A workflow that cannot be read at all; `problems` tells why."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        first = problems[0]["message"] if problems else "it cannot be read"
        super().__init__(422, "invalid_workflow", f"the workflow cannot run: {first}", problems=problems)


class Refused(ApiError):  # noqa: N818 - an answer
    """A file that is not taken in: no picture of a known kind, or too large a one."""

    def __init__(self, message: str, code: str = "not_an_image", status: int = 415) -> None:
        super().__init__(status, code, message)


@dataclass(frozen=True)
class Catalogue:
    """The node types and plugins; `fresh` is False while only the last run's are known."""

    etag: str
    document: Mapping[str, Any]
    """`nodes`: JSON Schemas by id; `plugins`: what became of each."""
    fresh: bool


@dataclass(frozen=True)
class Item:
    """A workflow with one set of inputs: what is wrong, or what a job of it is known by."""

    problems: tuple[Mapping[str, Json], ...] = ()
    signature: str = ""
    exposed: Mapping[str, Json] = field(default_factory=dict)
    """What the workflow exposes as inputs, with their values."""

    @property
    def ok(self) -> bool:
        """Tell whether it can run."""
        return not self.problems


@dataclass(frozen=True)
class Checked:
    """A workflow that could be read, with what became of each set of inputs."""

    document: bytes
    """Native format, compact JSON."""
    name: str
    nodes: Mapping[str, str]
    """Node -> type, subgraphs dissolved; empty where no item is right."""
    items: tuple[Item, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Nodes that are muted or bypassed, or need such a one -> why."""


@dataclass(frozen=True)
class Inspected:
    """What a picture is."""

    media: str
    width: int
    height: int
    frames: int
    suffix: str
    """With the dot."""


@dataclass(frozen=True)
class PluginAnswer:
    """What a plugin's route answers."""

    status: int
    media: str
    body: bytes
