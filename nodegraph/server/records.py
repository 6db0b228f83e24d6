"""What the server keeps: jobs, batches, outputs. Times are seconds since the epoch; order is by `seq`, not by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Any


class State(StrEnum):
    """Where a job is. The last three are final: a job reaches exactly one of them and stays there."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Tell whether nothing can happen to the job any more."""
        return self in FINAL


FINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED})
PENDING = frozenset({State.QUEUED, State.WAITING})
MOST_ATTEMPTS = 2
"""A job that ran when its process died is run again once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job to be: the workflow is checked, nothing is written yet."""

    document: bytes
    """The workflow, native format, canonical JSON."""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    """The nodes to reach; empty: the workflow's own."""
    name: str = ""
    signature: str = ""
    """What jobs that take equally long have in common, for estimates."""
    nodes: int = 0
    """How many nodes the workflow has."""
    priority: int = 0
    client: str = ""
    """Whatever the client calls itself; jobs of a user's clients take turns."""
    key: str | None = None
    """Idempotency key: a second submission of a user with the same key is the first one's job."""
    timeout: float | None = None
    """Seconds that one attempt may run."""
    webhook: str | None = None
    retry_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed, in words for its user: no path, no traceback."""

    code: str
    """`node_failed`, `crashed_twice`, `timed_out`, `disk_full`, `out_of_memory`, `invalid`, ..."""
    message: str
    node: str | None = None
    type: str | None = None
    reference: str | None = None
    """What to look for in the server's log."""
    problems: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a gate asks a person."""

    node: str
    question: str
    choices: tuple[Json, ...]
    """What may be answered; empty: any JSON value."""
    outputs: tuple[str, ...] = ()
    """Ids of the outputs that show what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What became of a node of a job."""

    node: str
    type: str
    state: str
    """`finished`, `cached`, `failed`, `skipped`, `cancelled`."""
    seconds: float = 0.0
    memory: Mapping[str, int] = field(default_factory=dict)
    """Device -> bytes that the process held at most while the node ran."""
    message: str = ""
    """Why it failed, or what it warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A workflow to run, running or run."""

    id: str
    seq: int
    user: str
    state: State
    document: str
    """SHA-256 of the workflow; `Store.document` has its text."""
    client: str = ""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    name: str = ""
    signature: str = ""
    nodes: int = 0
    priority: int = 0
    position: float = 0.0
    """Within the same priority, the lower runs first; `seq` unless it was moved."""
    batch: str | None = None
    index: int | None = None
    retry_of: str | None = None
    attempts: int = 0
    """How often it was begun."""
    device: str | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    """That its last attempt ran."""
    memory: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None
    questions: tuple[Question, ...] = ()
    answers: Mapping[str, Json] = field(default_factory=dict)
    """Gate node -> what was chosen."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """The plain values among what the workflow exposes as outputs."""
    timeout: float | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several jobs of one workflow, submitted as one."""

    id: str
    seq: int
    user: str
    name: str
    created: float
    total: int
    counts: Mapping[State, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job wrote, known by its id; (`job`, `node`, `ordinal`) names it across attempts."""

    id: str
    seq: int
    job: str
    user: str
    node: str
    ordinal: int
    name: str
    """Below the user's folder of its kind, with `/`."""
    kind: str = "output"
    """`output`, or `temp` for previews, which are removed after a while."""
    media: str = "application/octet-stream"
    size: int = 0
    width: int | None = None
    height: int | None = None
    created: float = 0.0
    there: bool = True
    """False while it is on its way to its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may ask; admins see to queue, devices and users."""

    name: str
    admin: bool = False
    created: float = 0.0
