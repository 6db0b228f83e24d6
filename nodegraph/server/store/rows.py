"""Rows of the tables to records and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from nodegraph.server.records import Failure, Job, NodeRun, Output, Question, State
from nodegraph.server.store.errors import CursorError

Json = Any
Row = tuple[Any, ...]

JOB: Final = (
    "id, seq, user, state, document, client, inputs, targets, name, signature, nodes, priority, position, batch, item, "
    "retry_of, attempts, device, created, started, ended, seconds, memory, failure, questions, answers, results, "
    "timeout, webhook"
)
"""The columns of `job`, in the order of the record's fields."""
OUTPUT: Final = "id, seq, job, user, node, ordinal, name, kind, media, size, width, height, created, there"
WORDS: Final = 2**16
"""Characters of a job's or a workflow's text that a search sees."""
MOST: Final = 10_000
"""Items of a page."""


def dump(value: Json) -> str:
    """Return JSON text; what no UTF-8 can hold (a lone surrogate) stands escaped in it."""
    return json.dumps(value, separators=(",", ":"))


def load(text: str) -> Json:
    """Read what `dump` wrote."""
    return json.loads(text)


def clean(text: str) -> str:
    """Return text as UTF-8 can hold it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def words(parts: Iterable[str]) -> str:
    """Return text as a search looks through it."""
    return clean(" ".join(filter(None, parts))).casefold()[:WORDS]


def strings(value: Json) -> list[str]:
    """Return the texts within a JSON value, in their order."""
    found, left = list[str](), [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, Mapping):
            left.extend(reversed(list(item.values())))
        elif isinstance(item, list | tuple):
            left.extend(reversed(item))
    return found


def cursor_seq(cursor: str | None) -> int | None:
    """Read a cursor; raise `CursorError` where it is none."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise CursorError(f"{cursor[:40]!r} is no cursor: give the one that the page before gave, or none")
    return int(cursor)


def page_limit(limit: int) -> int:
    """Return how many items a page may have."""
    return max(1, min(limit, MOST))


def job(row: Sequence[Any]) -> Job:
    """Return the record of a row of the columns `JOB`."""
    (
        id, seq, user, state, document, client, inputs, targets, name, signature, nodes, priority, position, batch,
        item, retry_of, attempts, device, created, started, ended, seconds, memory, failure, questions, answers,
        results, timeout, webhook,
    ) = row  # fmt: skip
    return Job(
        id=id, seq=seq, user=user, state=State(state), document=document, client=client, inputs=_object(inputs),
        targets=() if targets == "[]" else tuple(load(targets)), name=name, signature=signature, nodes=nodes,
        priority=priority, position=position, batch=batch, index=item, retry_of=retry_of, attempts=attempts,
        device=device, created=created, started=started, ended=ended, seconds=seconds, memory=_object(memory),
        failure=None if failure is None else failure_from(load(failure)),
        questions=() if questions == "[]" else tuple(map(question_from, load(questions))), answers=_object(answers),
        values=_object(results), timeout=timeout, webhook=webhook,
    )  # fmt: skip


def job_row(job: Job, key: str | None, text: str) -> Row:
    """Return what `INSERT INTO jobs (JOB, key, words)` takes."""
    return (
        job.id, job.seq, job.user, job.state.value, job.document, clean(job.client), dump(job.inputs),
        dump(list(job.targets)), clean(job.name), job.signature, job.nodes, job.priority, job.position, job.batch,
        job.index, job.retry_of, job.attempts, job.device, job.created, job.started, job.ended, job.seconds,
        dump(job.memory), None if job.failure is None else dump(failure_json(job.failure)),
        dump([question_json(question) for question in job.questions]), dump(job.answers), dump(job.values),
        job.timeout, job.webhook, key, text,
    )  # fmt: skip


def failure_json(failure: Failure) -> dict[str, Json]:
    """Return a failure as JSON."""
    return {
        "code": failure.code,
        "message": failure.message,
        "node": failure.node,
        "type": failure.type,
        "reference": failure.reference,
        "problems": [dict(problem) for problem in failure.problems],
    }


def failure_from(value: Mapping[str, Json]) -> Failure:
    """Return the failure that `failure_json` wrote."""
    return Failure(**{**value, "problems": tuple(value["problems"])})


def question_json(question: Question) -> dict[str, Json]:
    """Return a question as JSON."""
    return {
        "node": question.node,
        "question": question.question,
        "choices": list(question.choices),
        "outputs": list(question.outputs),
    }


def question_from(value: Mapping[str, Json]) -> Question:
    """Return the question that `question_json` wrote."""
    return Question(**{**value, "choices": tuple(value["choices"]), "outputs": tuple(value["outputs"])})


def report_blob(report: Sequence[NodeRun]) -> bytes:
    """Return what became of a job's nodes as bytes."""
    items = [[run.node, run.type, run.state, run.seconds, dict(run.memory), run.message] for run in report]
    return zlib.compress(dump(items).encode("ascii"))


def report_from(blob: bytes) -> tuple[NodeRun, ...]:
    """Return what `report_blob` wrote."""
    names = ("node", "type", "state", "seconds", "memory", "message")
    return tuple(NodeRun(**dict(zip(names, item, strict=True))) for item in load(zlib.decompress(blob).decode("ascii")))


def output(row: Sequence[Any]) -> Output:
    """Return the record of a row of the columns `OUTPUT`."""
    names = OUTPUT.split(", ")
    return Output(**{**dict(zip(names, row, strict=True)), "there": bool(row[-1])})


def _object(text: str) -> dict[str, Json]:
    return {} if text == "{}" else load(text)
