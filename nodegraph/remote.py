"""What a server tells, as values: jobs, outputs, updates, errors. What is not known here is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from nodegraph.engine.errors import NodegraphError, Problem
from nodegraph.server.records import Failure, NodeRun, Question, State

Json = Any
T = TypeVar("T")


class ClientError(NodegraphError):
    """A server that refuses, with its status and a stable code, or cannot be reached (status 0)."""

    def __init__(self, status: int, code: str, message: str, problems: tuple[Problem, ...] = ()) -> None:
        self.status, self.code, self.message, self.problems = status, code, message, problems
        super().__init__("\n".join([message, *(f"  {problem}" for problem in problems)]))


def error_of(status: int, text: str) -> ClientError:
    """Return the error that an answer tells of."""
    try:
        told = json.loads(text)["error"]
        problems = tuple(known(Problem, {"code": "", "message": "", **problem}) for problem in told.get("problems", ()))
        return ClientError(status, str(told["code"]), str(told["message"]), problems)
    except (ValueError, KeyError, TypeError):
        return ClientError(status, "unknown", f"the server answered {status} in a form that is not its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job made."""

    id: str
    job: str
    node: str
    name: str
    kind: str = "output"
    media: str = ""
    size: int = 0
    width: int | None = None
    height: int | None = None
    url: str = ""
    """Where its bytes are, below the server's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job; lists tell less of it than `Client.job` does."""

    id: str
    seq: int = 0
    user: str = ""
    state: State
    name: str = ""
    client: str = ""
    nodes: int = 0
    priority: int = 0
    batch: str | None = None
    retry_of: str | None = None
    attempts: int = 0
    device: str | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    failure: Failure | None = None
    questions: tuple[Question, ...] = ()
    inputs: Mapping[str, Json] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    """The plain values among what the workflow exposes as outputs."""
    memory: Mapping[str, int] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    node_states: tuple[NodeRun, ...] = ()
    progress: float = 0.0
    left: float | None = None
    """Seconds till it ends, judged by past runs."""
    place: int | None = None
    """How many jobs are likely to begin before it."""

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Job:
        """Return a job from the server's JSON."""
        failure = told.get("failure")
        parts: dict[str, Any] = {
            "state": State(told["state"]),
            "failure": None if failure is None else known(Failure, failure),
            "questions": tuple(known(Question, {"choices": (), **asked}) for asked in told.get("questions", ())),
            "outputs": tuple(known(Output, output) for output in told.get("outputs", ())),
            "node_states": tuple(known(NodeRun, {"type": "", **node}) for node in told.get("node_states", ())),
        }
        return known(cls, {**told, **parts})


@dataclass(frozen=True, slots=True)
class Update:
    """Something that happened: `type` is `node.progress`, `job.done` and so on; also `hello` and `snapshot`."""

    type: str
    seq: int = 0
    time: float = 0.0
    job: str | None = None
    data: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def all_of(cls, message: Mapping[str, Json]) -> Iterator[Update]:
        """Give what a message of the event stream tells."""
        if message.get("type") == "events":
            for event in message["events"]:
                yield known(cls, event)
        elif "seq" in message:
            yield known(cls, message)


def known(kind: type[T], told: Mapping[str, Json]) -> T:
    """Return a dataclass made of the fields that it has."""
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # every `kind` here is a dataclass
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items() if name in names}
    return kind(**values)
