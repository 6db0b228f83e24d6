"""`/jobs`: workflows to run, running and run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BeforeValidator, Field, model_validator

from nodegraph.server.api.asking import job_of, told, whose
from nodegraph.server.api.lines import NDJSON, read_lines, stream_lines
from nodegraph.server.api.routing import API, Model, Query, Route, respond
from nodegraph.server.api.submitting import planned, prepare, same, tried
from nodegraph.server.api.wire import (
    CheckAnswer,
    Count,
    Errand,
    Id,
    JobAnswer,
    JobList,
    JobSummary,
    Json,
    PageQuery,
    PlanAnswer,
    Priority,
    WaitQuery,
    Work,
)
from nodegraph.server.keys import QUEUE, STORE
from nodegraph.server.records import FINAL, Job, State
from nodegraph.server.security.principal import principal

States = Annotated[list[State], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
FinalName = Literal["done", "failed", "cancelled"]


class JobsQuery(PageQuery):
    """Which jobs: in any of the states, of a batch, with words in name, prompts, failure, id. `user` is for admins."""

    state: States = Field(default_factory=list)
    text: Annotated[str, Field(max_length=200)] = ""
    batch: Id | None = None
    user: Annotated[str, Field(max_length=100)] | None = None


class ExportQuery(Query):
    """Which jobs are exported; `user` is for admins, `*` means everybody's."""

    state: States = Field(default_factory=list)
    user: Annotated[str, Field(max_length=100)] | None = None


class DeleteQuery(Query):
    """Whether the job's outputs are removed with it."""

    outputs: bool = False


class Move(Model):
    """Where a queued job shall stand: its priority, and one place: beside another job, or `first` or `last`."""

    priority: Priority | None = None
    before: Id | None = None
    after: Id | None = None
    end: Literal["first", "last"] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Move:
        places = [place for place in (self.before, self.after, self.end) if place is not None]
        if len(places) > 1 or (not places and self.priority is None):
            raise ValueError("give `priority`, and at most one of `before`, `after` and `end`")
        return self


class Answers(Model):
    """What is chosen, by the node that asks."""

    answers: Annotated[dict[str, Json], Field(min_length=1)]


class Prune(Model):
    """Which final jobs are removed: all but the newest `keep`, of those that ended `before` a time. Outputs stay."""

    keep: Annotated[int, Field(ge=0, le=2**53)] | None = None
    before: Annotated[float, Field(ge=0)] | None = None
    states: list[FinalName] = Field(default_factory=list)

    @model_validator(mode="after")
    def _bounded(self) -> Prune:
        if self.keep is None and self.before is None:
            raise ValueError("give `keep`, `before` or both; `keep` 0 removes all")
        return self


class Imported(Model):
    """What became of the jobs of an import."""

    history: int = 0
    queued: int = 0
    skipped: int = 0
    """Those that were there already."""


async def create(request: web.Request, query: WaitQuery, errand: Errand) -> web.Response:
    """Check a workflow and queue it."""
    (submission,) = await prepare(request, errand)
    (job,) = await request.app[QUEUE].submit(principal(request).user, [submission])
    same(job, submission)
    return await _answer(request, job, query.wait, 201)


async def try_out(request: web.Request, work: Work) -> CheckAnswer:
    """Check a workflow without queueing it."""
    return await tried(request, work)


async def plan(request: web.Request, work: Work) -> PlanAnswer:
    """Tell what of a workflow would run."""
    return await planned(request, work)


async def index(request: web.Request, query: JobsQuery) -> JobList:
    """List jobs."""
    page = await request.app[STORE].jobs(
        whose(request, query.user),
        states=query.state,
        batch=query.batch,
        text=query.text,
        cursor=query.cursor,
        limit=query.limit,
    )
    return JobList(items=[JobSummary.of(job) for job in page.items], cursor=page.cursor)


async def show(request: web.Request, query: WaitQuery) -> web.Response:
    """Tell all about a job."""
    return await _answer(request, await job_of(request), query.wait, 200)


async def workflow(request: web.Request) -> web.Response:
    """Return the workflow of a job, as it runs."""
    job = await job_of(request)
    document = await request.app[STORE].document(job.document)
    return web.Response(body=document, content_type="application/json", headers={"ETag": f'"{job.document}"'})


async def move(request: web.Request, place: Move) -> JobAnswer:
    """Give a queued job another place."""
    job = await job_of(request)
    return await told(request, await request.app[QUEUE].move(job, **place.model_dump()))


async def cancel(request: web.Request) -> JobAnswer:
    """Cancel a job; one that has ended stays as it is."""
    return await told(request, await request.app[QUEUE].cancel(await job_of(request)))


async def retry(request: web.Request, query: WaitQuery) -> web.Response:
    """Queue an ended job again, as a new one."""
    job = await job_of(request)
    return await _answer(request, await request.app[QUEUE].retry(job, job.user), query.wait, 201)


async def answer(request: web.Request, answers: Answers) -> JobAnswer:
    """Answer what a waiting job asks."""
    return await told(request, await request.app[QUEUE].answer(await job_of(request), answers.answers))


async def delete(request: web.Request, query: DeleteQuery) -> None:
    """Remove an ended job."""
    await request.app[QUEUE].delete([await job_of(request)], outputs=query.outputs)


async def prune(request: web.Request, which: Prune) -> Count:
    """Remove ended jobs of the user."""
    states = [State(name) for name in which.states] or list(FINAL)
    user = principal(request).user
    return Count(count=await request.app[QUEUE].prune(user, keep=which.keep, before=which.before, states=states))


async def export(request: web.Request, query: ExportQuery) -> web.StreamResponse:
    """Write jobs out, one JSON object a line."""
    jobs = request.app[STORE].export_jobs(whose(request, query.user), query.state)
    return await stream_lines(request, jobs, "jobs.ndjson")


async def take_in(request: web.Request) -> Imported:
    """Read exported jobs."""
    counts = await request.app[QUEUE].import_jobs(principal(request).user, read_lines(request))
    return Imported(**{name: counts.get(name, 0) for name in Imported.model_fields})


async def _answer(request: web.Request, job: Job, wait: float | None, status: int) -> web.Response:
    """Tell of a job, when it has ended, asks something, or the time to wait is up: 202 where it has not ended."""
    if wait is not None:
        job = await request.app[QUEUE].until_at_rest(job.id, wait) or job
        status = 200 if job.state.final else 202
    headers: dict[str, Any] = {"Location": f"{API}/jobs/{job.id}"} if status != 200 else {}
    return respond(await told(request, job), status, headers)


LATER = {200: "It has ended in time", 202: "It has not ended: it goes on, or waits for an answer"}
NOT_THERE = {409: "Its state does not allow it"}
ROUTES: tuple[Route, ...] = (
    Route("GET", "/jobs", index, "List jobs, newest first", query=JobsQuery, answer=JobList),
    Route(
        "POST",
        "/jobs",
        create,
        "Queue a workflow; with `wait`, answer when it has ended",
        query=WaitQuery,
        body=Errand,
        answer=JobAnswer,
        status=201,
        also=LATER,
        errors={409: "The idempotency key stands for other work", 503: "The server is stopping or starting"},
    ),
    Route("POST", "/jobs/check", try_out, "Check a workflow without queueing it", body=Work, answer=CheckAnswer),
    Route(
        "POST",
        "/jobs/plan",
        plan,
        "Tell what of a workflow would run and what is there already, without queueing it",
        body=Work,
        answer=PlanAnswer,
        errors={503: "No worker is ready yet"},
    ),
    Route("POST", "/jobs/prune", prune, "Remove ended jobs, not their outputs", body=Prune, answer=Count),
    Route("GET", "/jobs/export", export, "Write jobs out, one a line", query=ExportQuery, media=NDJSON),
    Route(
        "POST", "/jobs/import", take_in, "Read exported jobs", answer=Imported, takes=NDJSON, errors={413: "Too long"}
    ),
    Route(
        "GET",
        "/jobs/{id}",
        show,
        "Tell all about a job; with `wait`, when it has ended",
        query=WaitQuery,
        answer=JobAnswer,
        also={202: LATER[202]},
    ),
    Route("PATCH", "/jobs/{id}", move, "Move a queued job", body=Move, answer=JobAnswer, errors=NOT_THERE),
    Route("DELETE", "/jobs/{id}", delete, "Remove an ended job", query=DeleteQuery, status=204, errors=NOT_THERE),
    Route("GET", "/jobs/{id}/workflow", workflow, "Return the workflow of a job"),
    Route("POST", "/jobs/{id}/cancel", cancel, "Cancel a job, if it has not ended", answer=JobAnswer),
    Route(
        "POST",
        "/jobs/{id}/retry",
        retry,
        "Queue an ended job again",
        query=WaitQuery,
        answer=JobAnswer,
        status=201,
        also=LATER,
        errors=NOT_THERE,
    ),
    Route(
        "POST", "/jobs/{id}/answers", answer, "Answer a waiting job", body=Answers, answer=JobAnswer, errors=NOT_THERE
    ),
)
