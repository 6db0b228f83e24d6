"""What stands on the wire of `/events`: the messages of both sides, and every event.

An event's `data` may hold more than its model names. Within a snapshot, and in `job.*`, a thing is told whole: whoever
gets it replaces what they had.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nodegraph.server.api.wire import JobSummary

Json = Any


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class NodeData(_Told):
    """A node of a job: its id, with a path where it is within a subgraph or an expansion."""

    node: str
    type: str = ""
    message: str = ""
    seconds: float = 0.0
    memory: dict[str, int] = Field(default_factory=dict)


class ProgressData(_Told):
    """A node has done `value` of `total`."""

    node: str
    value: float
    total: float
    message: str = ""


class OutputData(_Told):
    """A file that is at its place, or was removed."""

    id: str
    job: str
    node: str
    name: str
    kind: str
    media: str


class QueueData(_Told):
    """The queue: whether it begins jobs."""

    paused: bool


class DeviceData(_Told):
    """A worker: `starting`, `idle`, `busy`, `paused`, `restarting` or `dead`."""

    id: str
    state: str


class BatchData(_Told):
    """A batch, with how many of its jobs are in which state."""

    id: str


class NameData(_Told):
    """A saved workflow or an uploaded file, by its name."""

    name: str


class CatalogueData(_Told):
    """Nodes came or went: ask for `/nodes` again."""


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int
    """Rises from event to event; there are gaps where others' events are."""
    time: float
    """Seconds since 1970."""


class JobEvent(_Event):
    """A job came to a state, was changed (moved, say) or deleted."""

    type: Literal[
        "job.queued",
        "job.running",
        "job.waiting",
        "job.done",
        "job.failed",
        "job.cancelled",
        "job.changed",
        "job.deleted",
    ]
    job: str
    data: JobSummary


class NodeEvent(_Event):
    """A node of a job began, ended, waits for a choice or warns of what it gives."""

    type: Literal[
        "node.running",
        "node.cached",
        "node.finished",
        "node.failed",
        "node.skipped",
        "node.cancelled",
        "node.waiting",
        "node.warned",
    ]
    job: str
    data: NodeData


class NodeProgress(_Event):
    """A node of a job goes on."""

    type: Literal["node.progress"]
    job: str
    data: ProgressData


class OutputEvent(_Event):
    """A job has written a file, or one was removed."""

    type: Literal["output.added", "output.removed"]
    job: str | None = None
    data: OutputData


class QueueEvent(_Event):
    """The queue was paused, resumed, or has other numbers."""

    type: Literal["queue.changed"]
    data: QueueData


class DeviceEvent(_Event):
    """A worker came to another state."""

    type: Literal["device.changed"]
    data: DeviceData


class BatchEvent(_Event):
    """A batch has other numbers."""

    type: Literal["batch.changed"]
    data: BatchData


class NameEvent(_Event):
    """A workflow was saved or deleted, a file uploaded or removed."""

    type: Literal["workflow.saved", "workflow.deleted", "file.added", "file.removed"]
    data: NameData


class CatalogueEvent(_Event):
    """The catalogue of nodes is another one."""

    type: Literal["nodes.changed"]
    data: CatalogueData


Event = Annotated[
    JobEvent
    | NodeEvent
    | NodeProgress
    | OutputEvent
    | QueueEvent
    | DeviceEvent
    | BatchEvent
    | NameEvent
    | CatalogueEvent,
    Field(discriminator="type"),
]
"""Everything that is told to all streams of those who may know."""
JOB_EVENTS: Final[TypeAdapter[Any]] = TypeAdapter(Event)


class Hello(_Told):
    """The first message. `since=epoch:seq` takes up a stream after this point.

    `replayed`: what was missed follows as events; otherwise a snapshot follows.
    """

    type: Literal["hello"]
    epoch: str
    seq: int
    replayed: bool


class SnapshotMessage(_Told):
    """Where everything stands; the events after `seq` follow, and may tell again what it holds already."""

    type: Literal["snapshot"]
    epoch: str
    seq: int
    data: dict[str, Json]


class Events(_Told):
    """What happened, in order. As server-sent events each is a message of its own, with `epoch:seq` as its id."""

    type: Literal["events"]
    events: list[Event]


class Subscribed(_Told):
    """The answer to `subscribe`: what the stream carries from now on."""

    type: Literal["subscribed"]
    previews: bool
    jobs: list[str] | None


class Pong(_Told):
    """The answer to `ping`: all events up to `seq` were sent."""

    type: Literal["pong"]
    epoch: str
    seq: int


class Refused(_Told):
    """A message that was not understood."""

    type: Literal["error"]
    code: str
    message: str
    field: str = ""


ServerMessage = Annotated[Hello | SnapshotMessage | Events | Subscribed | Pong | Refused, Field(discriminator="type")]
SERVER_MESSAGES: Final[TypeAdapter[Any]] = TypeAdapter(ServerMessage)
