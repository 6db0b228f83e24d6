"""What stands on the wire for several resources: jobs, outputs, failures, questions, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nodegraph.server.api.routing import Model, Query
from nodegraph.server.live import JobView, NodeView, output_json
from nodegraph.server.records import Failure, Job, NodeRun, Output, Question

Json = Any
StateName = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A text of one line, for people."""
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Id = Annotated[str, Field(min_length=1, max_length=100)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]
Wait = Annotated[float, Field(ge=0, le=300)]
"""Seconds an answer may be held back for the job to end."""
LONGEST_RUN = 7 * 86400.0


class WaitQuery(Query):
    """How long to wait for the job to reach a final state, or to ask something."""

    wait: Wait | None = None


class PageQuery(Query):
    """Which part of a list: `cursor` is that of the part before."""

    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class FailureAnswer(Model):
    """Why a job failed, in words; `reference` is what to look for in the server's log."""

    code: str
    message: str
    node: str | None = None
    type: str | None = None
    reference: str | None = None
    problems: list[dict[str, Json]] = Field(default_factory=list)

    @classmethod
    def of(cls, failure: Failure) -> FailureAnswer:
        """Return a failure as it stands on the wire."""
        return cls(**{**_fields(cls, failure), "problems": [dict(problem) for problem in failure.problems]})


class QuestionAnswer(Model):
    """What a gate asks: one of `choices`, any JSON value where there are none; `outputs` are pictures of it, by id."""

    node: str
    question: str
    choices: list[Json] = Field(default_factory=list)
    outputs: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, question: Question) -> QuestionAnswer:
        """Return a question as it stands on the wire."""
        return cls(
            node=question.node,
            question=question.question,
            choices=list(question.choices),
            outputs=list(question.outputs),
        )


class OutputAnswer(Model):
    """A file that a job wrote; `url` serves its bytes, `thumbnail` a small picture of it."""

    id: str
    seq: int
    job: str
    node: str
    ordinal: int
    name: str
    kind: str
    media: str
    size: int
    width: int | None = None
    height: int | None = None
    created: float
    url: str
    thumbnail: str | None = None

    @classmethod
    def of(cls, output: Output) -> OutputAnswer:
        """Return an output as it stands on the wire."""
        return cls(**output_json(output))


class NodeAnswer(Model):
    """A node of a job: its state, how far it is (`value` of `total`), and bytes held at most on each device."""

    node: str
    type: str = ""
    state: str
    value: float | None = None
    total: float | None = None
    message: str = ""
    seconds: float = 0.0
    memory: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, node: NodeRun | NodeView) -> NodeAnswer:
        """Return a node as it stands on the wire."""
        return cls(**{**_fields(cls, node), "memory": dict(node.memory)})


class JobSummary(Model):
    """A job as lists and events tell it. Times are seconds since 1970; `seq` orders jobs by when they were accepted."""

    id: str
    seq: int
    user: str
    state: StateName
    name: str = ""
    client: str = ""
    nodes: int = 0
    priority: int = 0
    position: float = 0.0
    batch: str | None = None
    index: int | None = None
    retry_of: str | None = None
    attempts: int = 0
    device: str | None = None
    created: float
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    failure: FailureAnswer | None = None
    questions: list[QuestionAnswer] = Field(default_factory=list)

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        """Return a job as lists tell it."""
        return cls(**summary_fields(job))


def summary_fields(job: Job) -> dict[str, Any]:
    """Return the fields of `JobSummary`."""
    return {
        **_fields(JobSummary, job),
        "state": job.state.value,
        "failure": FailureAnswer.of(job.failure) if job.failure else None,
        "questions": [QuestionAnswer.of(question) for question in job.questions],
    }


def _fields(model: type[Model], record: object) -> dict[str, Any]:
    return {name: getattr(record, name) for name in model.model_fields if hasattr(record, name)}


class LiveJob(JobSummary):
    """A job with how far it is: `progress` from 0 to 1, `left` seconds till it ends, `place` in the queue."""

    progress: float = 0.0
    left: float | None = None
    place: int | None = None
    cancelling: bool = False
    """It was asked to stop and has not yet."""
    node_states: list[NodeAnswer] = Field(default_factory=list)


class JobAnswer(LiveJob):
    """All about a job."""

    inputs: dict[str, Json] = Field(default_factory=dict)
    targets: list[str] = Field(default_factory=list)
    timeout: float | None = None
    webhook: str | None = None
    memory: dict[str, int] = Field(default_factory=dict)
    """Device -> bytes held at most."""
    answers: dict[str, Json] = Field(default_factory=dict)
    """Gate -> what was chosen."""
    values: dict[str, Json] = Field(default_factory=dict)
    """The plain values among what the workflow exposes as outputs."""
    outputs: list[OutputAnswer] = Field(default_factory=list)

    @classmethod
    def whole(cls, view: JobView, outputs: Sequence[Output], report: Sequence[NodeRun] = ()) -> JobAnswer:
        """Return all about a job; `report` tells of its nodes where they are not known live."""
        job = view.job
        return cls(
            **summary_fields(job),
            inputs=dict(job.inputs),
            targets=list(job.targets),
            timeout=job.timeout,
            webhook=job.webhook,
            memory=dict(job.memory),
            answers=dict(job.answers),
            values=dict(job.values),
            outputs=[OutputAnswer.of(output) for output in outputs],
            node_states=[NodeAnswer.of(node) for node in view.nodes or report],
            progress=view.progress,
            left=view.left,
            place=view.place,
            cancelling=view.cancelling,
        )


class JobList(Model):
    """A part of the jobs, newest first; no `cursor`: it was the last."""

    items: list[JobSummary]
    cursor: str | None = None


class Work(Model):
    """What to run: a workflow of any form, or the name of a saved one, and how."""

    workflow: dict[str, Json] | None = None
    """A workflow file: native, or ComfyUI's API form."""
    workflow_name: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """The name of a saved workflow, instead."""
    inputs: dict[str, Json] = Field(default_factory=dict)
    """Values for what the workflow exposes, by name."""
    targets: Annotated[list[str], Field(max_length=1000)] = Field(default_factory=list)
    """Ids of the nodes to reach; empty: the workflow's own."""

    @model_validator(mode="after")
    def _one_workflow(self) -> Work:
        if (self.workflow is None) == (self.workflow_name is None):
            raise ValueError("give either `workflow` or `workflow_name`")
        return self


class Errand(Work):
    """How work is queued."""

    name: Name = ""
    priority: Priority = 0
    """The higher runs first among all jobs of the user, whichever client they are from."""
    client: Name = ""
    """What the caller is; the clients of a user take turns among jobs of equal priority."""
    key: Key | None = None
    """Idempotency key, also taken from the header `Idempotency-Key`: sent again, it gives what was made at first."""
    timeout: Annotated[float, Field(gt=0, le=LONGEST_RUN)] | None = None
    """Seconds that a job may run."""
    webhook: Annotated[str, Field(max_length=2000)] | None = None
    """An address that is told of the final state; its host must be listed by `--webhooks`."""


class Problem(Model):
    """One thing that is wrong, and where: what was got, what would fit, the nearest that does."""

    code: str
    message: str
    node: str | None = None
    field: str | None = None
    got: Json = None
    expected: str | None = None
    nearest: Json = None
    item: int | None = None
    """Of a batch: which item, from 0."""


class ErrorBody(Model):
    """What went wrong; `code` is stable, `message` is for people, `reference` stands in the server's log."""

    code: str
    message: str
    problems: list[Problem] = Field(default_factory=list)
    reference: str | None = None


class ErrorAnswer(Model):
    """The answer to a request that cannot be answered as asked."""

    error: ErrorBody


class CheckAnswer(Model):
    """Whether a workflow would run, and everything that is wrong with it."""

    ok: bool
    name: str = ""
    nodes: dict[str, str] = Field(default_factory=dict)
    """Id -> type, subgraphs dissolved."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Nodes that are muted or bypassed, or need such a one, and why."""
    inputs: dict[str, Json] = Field(default_factory=dict)
    """What it exposes, with its values."""
    seconds: float | None = None
    """That jobs like it took."""
    problems: list[Problem] = Field(default_factory=list)


class Decision(Model):
    """What a run would do with a node, and why.

    `run` it; `reuse` its result; `unneeded`: all that reads it is reused; `open`: known when something else has run.
    """

    node: str
    type: str
    action: Literal["run", "reuse", "unneeded", "open"]
    reason: str


class PlanAnswer(CheckAnswer):
    """Whether a workflow would run, and what of it: the nodes that it would come to, empty where it would not run."""

    plan: list[Decision] = Field(default_factory=list)


class Count(Model):
    """How many there were."""

    count: int
