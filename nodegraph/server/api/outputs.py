"""`/outputs`: the files that jobs wrote, by their ids."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from nodegraph.server.api.asking import scope, whose
from nodegraph.server.api.files import THUMBNAIL, DownloadQuery, SizeQuery
from nodegraph.server.api.routing import Model, Route
from nodegraph.server.api.wire import Id, OutputAnswer, PageQuery
from nodegraph.server.errors import not_found
from nodegraph.server.files.serving import SentFile, file_headers
from nodegraph.server.keys import HUB, OUTPUTS, STORE
from nodegraph.server.live import output_json
from nodegraph.server.records import Output


class OutputsQuery(PageQuery):
    """Which outputs: of a job, of one of its nodes, of a kind. `user` is for admins, `*` means everybody's."""

    job: Id | None = None
    node: Annotated[str, Field(max_length=1000)] | None = None
    kind: Literal["output", "temp"] | None = None
    user: Annotated[str, Field(max_length=100)] | None = None


class OutputList(Model):
    """A part of the outputs, newest first; no `cursor`: it was the last."""

    items: list[OutputAnswer]
    cursor: str | None = None


async def index(request: web.Request, query: OutputsQuery) -> OutputList:
    """List outputs."""
    page = await request.app[STORE].outputs(
        whose(request, query.user),
        job=query.job,
        node=query.node,
        kind=query.kind,
        cursor=query.cursor,
        limit=query.limit,
    )
    return OutputList(items=list(map(OutputAnswer.of, page.items)), cursor=page.cursor)


async def show(request: web.Request, query: DownloadQuery) -> web.StreamResponse:
    """Send the bytes of an output."""
    output = await _output_of(request)
    path = await request.app[OUTPUTS].path(output)
    return SentFile(path, file_headers(output.name, output.media, download=query.download))


async def thumbnail(request: web.Request, query: SizeQuery) -> web.StreamResponse:
    """Send a small picture of an output."""
    output = await _output_of(request)
    path = await request.app[OUTPUTS].thumbnail(output, query.size)
    return SentFile(path, file_headers(f"{output.name}.webp", "image/webp"))


async def delete(request: web.Request) -> None:
    """Remove an output and its file."""
    output = await _output_of(request)
    await request.app[OUTPUTS].remove(output)
    request.app[HUB].publish("output.removed", output_json(output), user=output.user, job=output.job)


async def _output_of(request: web.Request) -> Output:
    """Return the output that the path names; raise 404 where it is not there yet, or another user's."""
    output = await request.app[STORE].output(request.match_info["id"], scope(request))
    if output is None or not output.there:
        raise not_found(f"output {request.match_info['id'][:100]!a}")
    return output


GONE = {410: "Its file was taken away"}
ROUTES: tuple[Route, ...] = (
    Route(
        "GET", "/outputs", index, "List the files that jobs wrote, newest first", query=OutputsQuery, answer=OutputList
    ),
    Route(
        "GET",
        "/outputs/{id}",
        show,
        "Send the bytes of an output; ETag and Range are understood",
        query=DownloadQuery,
        media="application/octet-stream",
        errors=GONE,
    ),
    Route(
        "GET",
        "/outputs/{id}/thumbnail",
        thumbnail,
        "Send a small picture of an output",
        query=SizeQuery,
        media="image/webp",
        errors={**GONE, **THUMBNAIL},
    ),
    Route("DELETE", "/outputs/{id}", delete, "Remove an output and its file", status=204),
)
