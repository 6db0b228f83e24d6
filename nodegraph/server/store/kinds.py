"""What the store gives back, beside the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nodegraph.server.records import Job

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, newest first, and where the next one begins (None: this was the last)."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a job should take by those of its kind, the latest counting most."""

    total: float
    """Seconds."""
    nodes: Mapping[str, float] = field(default_factory=dict)
    """Node id -> seconds."""
    runs: int = 1
    """How many jobs that is known from."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A call that somebody is owed: written with the job's final state, kept until it got through or was given up."""

    id: str
    url: str
    job: Job
    """As it was when it ended; it may be deleted by now."""
    attempts: int = 0
    """How often it was tried."""
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the store holds."""

    jobs: int
    batches: int
    documents: int
    outputs: int
    output_bytes: int
    """Of the files that the outputs name."""
    file_bytes: int
    """Of the store's own file."""
    log_bytes: int
    """Of its write-ahead log."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    history: int = 0
    """Final jobs that are history now."""
    queued: tuple[Job, ...] = ()
    """The jobs that had not ended: they stand at the end of the queue."""
    skipped: int = 0
    """Jobs that were there already."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a store's file found; nothing was changed."""

    version: int
    """Of its schema; 0: it is new or none of ours."""
    newest: int
    """The schema that this version of nodegraph writes."""
    written_by: str
    """The version of nodegraph that made the schema."""
    problems: tuple[str, ...]
    """What is wrong with the file; empty: it is sound."""
