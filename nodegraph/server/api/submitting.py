"""From what was asked for to jobs that may be queued: the workflow is found, checked, and known by what it runs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from nodegraph.engine.jsontext import Limits as JsonLimits
from nodegraph.engine.jsontext import parse_json
from nodegraph.server.api.wire import CheckAnswer, Decision, Errand, PlanAnswer, Problem, Work
from nodegraph.server.errors import ApiError
from nodegraph.server.host import Checked, Item
from nodegraph.server.keys import HOST, INPUTS, QUEUE, SETTINGS, STORE, WORKFLOWS
from nodegraph.server.planning import plan
from nodegraph.server.records import Batch, Job, Submission
from nodegraph.server.security.principal import principal
from nodegraph.server.webhooks import check_webhook

Json = Any
MOST_PROBLEMS = 100
"""Told of a batch; each item has its own."""
FIRST_PART, LARGEST_PART = 16, 1000
"""Items of a batch that are checked at once."""
PART_SECONDS = 0.25
"""That checking a part should take."""
KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = LONGEST_NAME = 200


async def checked(request: web.Request, work: Work, inputs: Sequence[Mapping[str, Json]]) -> Checked:
    """Check a workflow with each set of inputs; raise `ApiError` 422 where it cannot even be read.

    Many sets are checked part by part, so that whoever else submits something meanwhile gets their turn. Those after
    the first `MOST_PROBLEMS` that are wrong are not looked at.
    """
    user = principal(request).user
    document = work.workflow if work.workflow is not None else await _saved(request, user, str(work.workflow_name))
    folders, host = request.app[INPUTS].folders(user), request.app[HOST]
    parts: list[Checked] = []
    items: list[Item] = []
    size = FIRST_PART
    while len(items) < len(inputs) and sum(not item.ok for item in items) < MOST_PROBLEMS:
        given = [{**work.inputs, **item} for item in inputs[len(items) : len(items) + size]]
        began = time.monotonic()
        part = await host.check(document, given, targets=work.targets, input_folders=folders)
        speed = size / max(time.monotonic() - began, 1e-3)
        size = max(1, min(int(speed * PART_SECONDS), size * 4, LARGEST_PART))
        parts.append(part)
        items += part.items
    nodes = next((part.nodes for part in parts if part.nodes), {})
    left_out = next((part.left_out for part in parts if part.nodes), {})
    return replace(parts[0], nodes=nodes, items=tuple(items), left_out=left_out)


async def tried(request: web.Request, work: Work) -> CheckAnswer:
    """Tell whether a workflow would run, and how long it should take."""
    return await _told(request, await checked(request, work, [{}]))


async def planned(request: web.Request, work: Work) -> PlanAnswer:
    """Tell what of a workflow would run; nothing is told of one that would not run at all."""
    found = await checked(request, work, [{}])
    answer = await _told(request, found)
    if not answer.ok:
        return PlanAnswer(**dict(answer))
    user = principal(request).user
    params = {
        "user": user,
        "inputs": dict(work.inputs),
        "targets": list(work.targets),
        "folders": {"input": [str(folder) for folder in request.app[INPUTS].folders(user)]},
    }
    decisions = await plan(request.app[QUEUE], params, found.document)
    return PlanAnswer(**dict(answer), plan=[Decision(**decision) for decision in decisions])


async def _told(request: web.Request, found: Checked) -> CheckAnswer:
    (item,) = found.items
    expected = await request.app[STORE].expected_times(item.signature) if item.ok else None
    return CheckAnswer(
        ok=item.ok,
        name=found.name,
        nodes=dict(found.nodes),
        left_out=dict(found.left_out),
        inputs=dict(item.exposed),
        seconds=expected.total if expected else None,
        problems=[Problem(**problem) for problem in item.problems],
    )


async def prepare(
    request: web.Request, errand: Errand, inputs: Sequence[Mapping[str, Json]] = ({},), *, batch: bool = False
) -> list[Submission]:
    """Return a submission for each set of inputs; raise `ApiError` 422 with every problem where one cannot run."""
    if errand.webhook is not None:
        check_webhook(errand.webhook, request.app[SETTINGS])
    key = key_of(request, errand)
    found = await checked(request, errand, inputs)
    _raise_problems(found, batch)
    return [
        Submission(
            document=found.document,
            inputs={**errand.inputs, **given},
            targets=tuple(errand.targets),
            name=errand.name or " ".join(found.name.split())[:LONGEST_NAME],
            signature=item.signature,
            nodes=len(found.nodes),
            priority=errand.priority,
            client=errand.client,
            key=None if batch else key,
            timeout=errand.timeout,
            webhook=errand.webhook,
        )
        for given, item in zip(inputs, found.items, strict=True)
    ]


def key_of(request: web.Request, errand: Errand) -> str | None:
    """Return the idempotency key, of the body or the header; raise `ApiError` 400 where they differ."""
    header = request.headers.get(KEY_HEADER)
    if header is not None and not (0 < len(header) <= LONGEST_KEY and header.isascii() and header.isprintable()):
        raise ApiError(400, "invalid_key", f"{KEY_HEADER}: expected 1 to {LONGEST_KEY} printable ASCII characters")
    if header is not None and errand.key not in (None, header):
        raise ApiError(400, "invalid_key", f"the header {KEY_HEADER} and `key` of the body differ")
    return errand.key or header


def same(job: Job, submission: Submission) -> None:
    """Raise `ApiError` 409 where a key stands for other work than is submitted with it now."""
    if not _alike(job, submission, hashlib.sha256(submission.document).hexdigest()):
        raise ApiError(409, "key_reused", f"the idempotency key stands for other work, that of job {job.id}")


def same_items(batch: Batch, jobs: Sequence[Job], submissions: Sequence[Submission]) -> None:
    """Raise `ApiError` 409 where the key of a batch stands for other items; some of them may have been removed."""
    items = {job.index: job for job in jobs if job.retry_of is None}
    document = hashlib.sha256(submissions[0].document).hexdigest()  # one for all items
    found = [(items.pop(place, None), submission) for place, submission in enumerate(submissions)]
    fits = all(job is None or _alike(job, submission, document) for job, submission in found)
    if items or not fits or batch.total - sum(job.retry_of is not None for job in jobs) < len(submissions):
        raise ApiError(409, "key_reused", f"the idempotency key stands for other items, those of batch {batch.id}")


def _alike(job: Job, submission: Submission, document: str) -> bool:
    made = (job.document, dict(job.inputs), job.targets)
    return made == (document, dict(submission.inputs), submission.targets)


async def _saved(request: web.Request, user: str, name: str) -> Json:
    limits = request.app[SETTINGS].limits
    saved = await request.app[WORKFLOWS].read(user, name)
    return parse_json(saved.data, JsonLimits(bytes=limits.body, depth=limits.depth))


def _raise_problems(found: Checked, batch: bool) -> None:
    wrong = [(number, item) for number, item in enumerate(found.items) if not item.ok]
    problems = [
        {**problem, "item": number} if batch else problem for number, item in wrong for problem in item.problems
    ]
    if problems:
        count = str(len(wrong)) if len(wrong) < MOST_PROBLEMS else f"{MOST_PROBLEMS} or more"
        which = f"{count} of the items" if batch else "the workflow"
        message = f"{which} cannot run: {problems[0]['message']}"
        raise ApiError(422, "invalid_workflow", message, problems=problems[:MOST_PROBLEMS])
