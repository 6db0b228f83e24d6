"""`/batches`: one workflow over many values, as one submission."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import Field, model_validator

from nodegraph.server import batches
from nodegraph.server.api.asking import batch_of, whose
from nodegraph.server.api.routing import API, Model, Route, respond
from nodegraph.server.api.submitting import checked, key_of, prepare, same_items
from nodegraph.server.api.wire import Count, Errand, FailureAnswer, JobSummary, Json, PageQuery, StateName
from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.files.paths import shown_name
from nodegraph.server.keys import INPUTS, QUEUE, SETTINGS, STORE
from nodegraph.server.records import Batch, Job
from nodegraph.server.security.principal import principal

LONGEST_FILE = 8 * 2**20


class OverFile(Model):
    """A file of the input folder: .txt (a value of `input` a line), .csv (a row of inputs), .json or .jsonl."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    input: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class Over(Model):
    """What varies from item to item, by the names of the workflow's inputs: one of these."""

    product: dict[str, list[Json]] | None = None
    """Every combination, the last name's values varying fastest."""
    zip: dict[str, list[Json]] | None = None
    """The first values together, then the second ones; the lists are equally long."""
    items: list[dict[str, Json]] | None = Field(None, alias="list")
    """Each item's inputs, written out."""
    file: OverFile | None = None

    @model_validator(mode="after")
    def _one(self) -> Over:
        if sum(kind is not None for kind in (self.product, self.zip, self.items, self.file)) != 1:
            raise ValueError("give one of `product`, `zip`, `list` and `file`")
        return self


class BatchErrand(Errand):
    """A workflow and what varies; `inputs` are the same for all items."""

    over: Over


class BatchItem(Model):
    """An item of a batch; `id` is that of its job."""

    id: str
    index: int | None = None
    state: StateName
    retry_of: str | None = None
    seconds: float = 0.0
    failure: FailureAnswer | None = None

    @classmethod
    def of(cls, job: Job) -> BatchItem:
        """Return an item as it stands on the wire."""
        summary = JobSummary.of(job)
        return cls(**{name: getattr(summary, name) for name in cls.model_fields})


class BatchSummary(Model):
    """Several jobs of one workflow; `counts` tells how many are in each state."""

    id: str
    seq: int
    user: str
    name: str = ""
    created: float
    total: int
    counts: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, batch: Batch) -> BatchSummary:
        """Return a batch as lists tell it."""
        names = ("id", "seq", "user", "name", "created", "total")
        counts = {str(state): count for state, count in batch.counts.items()}
        return cls(**{name: getattr(batch, name) for name in names}, counts=counts)


class BatchAnswer(BatchSummary):
    """A batch with a part of its items, the last first; `cursor` leads to the items before them."""

    items: list[BatchItem] = Field(default_factory=list)
    cursor: str | None = None


class BatchList(Model):
    """A part of the batches, newest first."""

    items: list[BatchSummary]
    cursor: str | None = None


class BatchesQuery(PageQuery):
    """Which part of the list; `user` is for admins, `*` means everybody's."""

    user: Annotated[str, Field(max_length=100)] | None = None


async def create(request: web.Request, errand: BatchErrand) -> web.Response:
    """Check and queue all items, or none."""
    items = await _expand(request, errand)
    submissions = await prepare(request, errand, items, batch=True)
    user, key = principal(request).user, key_of(request, errand)
    batch, jobs = await request.app[QUEUE].submit_batch(user, submissions[0].name, submissions, key)
    same_items(batch, jobs, submissions)
    return respond(await _told(request, batch), 201, {"Location": f"{API}/batches/{batch.id}"})


async def index(request: web.Request, query: BatchesQuery) -> BatchList:
    """List batches."""
    page = await request.app[STORE].batches(whose(request, query.user), query.cursor, query.limit)
    return BatchList(items=[BatchSummary.of(batch) for batch in page.items], cursor=page.cursor)


async def show(request: web.Request, query: PageQuery) -> BatchAnswer:
    """Tell of a batch and its items."""
    return await _told(request, await batch_of(request), query)


async def cancel(request: web.Request) -> Count:
    """Cancel what of a batch has not ended."""
    return Count(count=await request.app[QUEUE].cancel_batch(await batch_of(request)))


async def retry(request: web.Request) -> BatchAnswer:
    """Queue the failed items again."""
    batch = await batch_of(request)
    await request.app[QUEUE].retry_batch(batch, batch.user)
    return await _told(request, await batch_of(request))


async def _told(request: web.Request, batch: Batch, query: PageQuery | None = None) -> BatchAnswer:
    query = query or PageQuery()
    page = await request.app[STORE].jobs(batch=batch.id, cursor=query.cursor, limit=query.limit)
    items = [BatchItem.of(job) for job in page.items]
    return BatchAnswer(**vars(BatchSummary.of(batch)), items=items, cursor=page.cursor)


async def _expand(request: web.Request, errand: BatchErrand) -> list[batches.Inputs]:
    over, most = errand.over, request.app[SETTINGS].limits.batch
    if over.product is not None:
        return batches.product(over.product, most)
    if over.zip is not None:
        return batches.zipped(over.zip, most)
    if over.items is not None:
        return batches.listed(over.items, most)
    return await _read(request, errand, over.file, most) if over.file is not None else []


async def _read(request: web.Request, errand: BatchErrand, file: OverFile, most: int) -> list[batches.Inputs]:
    """Read the items of a file; which cells of a CSV file are text is told by the values that the workflow has."""
    path = await request.app[INPUTS].find(principal(request).user, file.name)
    data = await asyncio.to_thread(_bytes, path, file.name)
    text: list[str] = []
    if file.name.lower().endswith(".csv"):
        (own,) = (await checked(request, errand, [{}])).items
        text = [name for name, value in own.exposed.items() if isinstance(value, str)]
    return await asyncio.to_thread(batches.from_file, file.name, data, file.input, most, text=text)


def _bytes(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise not_found(f"file {shown_name(name)} among the inputs") from error
    if len(data) > LONGEST_FILE:
        raise ApiError(413, "too_large", f"{shown_name(name)} is too large: a batch reads at most {LONGEST_FILE} bytes")
    return data


ROUTES: tuple[Route, ...] = (
    Route("GET", "/batches", index, "List batches, newest first", query=BatchesQuery, answer=BatchList),
    Route(
        "POST",
        "/batches",
        create,
        "Queue a workflow for many values: all items or none",
        body=BatchErrand,
        answer=BatchAnswer,
        status=201,
        errors={409: "The idempotency key stands for other work", 503: "The server is stopping or starting"},
    ),
    Route("GET", "/batches/{id}", show, "Tell of a batch and its items", query=PageQuery, answer=BatchAnswer),
    Route("POST", "/batches/{id}/cancel", cancel, "Cancel the items that have not ended", answer=Count),
    Route("POST", "/batches/{id}/retry", retry, "Queue the failed items again", answer=BatchAnswer),
)
