"""`/workflows`: documents that are saved by name; `/revisions`: what they were before."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from aiohttp import hdrs, web
from aiohttp.web_request import BaseRequest
from pydantic import Field

from nodegraph.server.api.routing import API, Model, Query, Route, json_body, respond
from nodegraph.server.api.wire import Problem
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import HOST, HUB, WORKFLOWS
from nodegraph.server.security.principal import principal
from nodegraph.server.workflows import ANY, Entry, Revision

REVISION = "Nodegraph-Revision"


class WorkflowsQuery(Query):
    """Which workflows: those with `text` in their names; `deleted`: those that can be restored; `drafts`: those below
    `drafts/`, which are not listed otherwise.
    """

    text: Annotated[str, Field(max_length=200)] = ""
    deleted: bool = False
    drafts: bool = False
    cursor: Annotated[str, Field(max_length=2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class SaveQuery(Query):
    """Whether it is saved by itself: it then takes the place of what was saved so in the last ten minutes."""

    autosave: bool = False


class Foreign(Model):
    """A workflow of any form that is known: ours, or ComfyUI's API form, alone or as the `prompt` of a request."""

    workflow: dict[str, Any]


class ReadAnswer(Model):
    """The workflow in our form, what form it had, and what of it was wrong and is left out.

    It is not checked: node types that are not known here stay as they are. Where its nodes lie is for an editor to say.
    """

    format: Literal["nodegraph", "comfyui"]
    workflow: dict[str, Any]
    problems: list[Problem]


class NameQuery(Query):
    """Of which workflow."""

    name: Annotated[str, Field(min_length=1, max_length=2000)]


class WorkflowAnswer(Model):
    """A saved workflow; `etag` changes with its text, `revision` counts how often it was saved."""

    name: str
    etag: str
    revision: int
    modified: float
    size: int
    deleted: bool = False


class WorkflowList(Model):
    """A part of the workflows, by name; no `cursor`: it was the last."""

    items: list[WorkflowAnswer]
    cursor: str | None = None


class RevisionAnswer(Model):
    """A version of a workflow; without `etag` it was deleted then; `autosave`: nobody asked for it."""

    number: int
    etag: str | None = None
    modified: float
    size: int
    autosave: bool = False


class RevisionList(Model):
    """All revisions that are kept, newest first."""

    items: list[RevisionAnswer]


async def index(request: web.Request, query: WorkflowsQuery) -> WorkflowList:
    """List workflows."""
    wanted = query.text.casefold()
    after = ("", "") if query.cursor is None else (query.cursor.casefold(), query.cursor)
    entries = await request.app[WORKFLOWS].list(principal(request).user, deleted=query.deleted, drafts=query.drafts)
    found = [e for e in entries if wanted in e.name.casefold() and (e.name.casefold(), e.name) > after]
    shown = found[: query.limit]
    cursor = shown[-1].name if len(found) > len(shown) else None
    return WorkflowList(items=[WorkflowAnswer(**asdict(entry)) for entry in shown], cursor=cursor)


async def show(request: web.Request) -> web.Response:
    """Return a workflow as it was saved."""
    saved = await request.app[WORKFLOWS].read(principal(request).user, request.match_info["name"])
    headers = {hdrs.ETAG: f'"{saved.etag}"', REVISION: str(saved.revision), hdrs.CACHE_CONTROL: "private, no-cache"}
    known = request.if_none_match
    if known is not None and any(tag.value in (saved.etag, ANY) for tag in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=saved.data, content_type="application/json", headers=headers)


async def save(request: web.Request, query: SaveQuery) -> web.Response:
    """Save a workflow: a new one with `If-None-Match: *`, over an old one with its ETag in `If-Match`."""
    match = expected(request)
    if match is None:
        message = "send the ETag of what is to be replaced in If-Match, or `If-None-Match: *` for a new workflow"
        raise ApiError(428, "precondition_required", message)
    user = principal(request).user
    if not isinstance(await json_body(request), dict):
        raise ApiError(422, "invalid_body", "a workflow is a JSON object")
    data = (await request.read()).removeprefix(b"\xef\xbb\xbf")
    name = request.match_info["name"]
    entry, new = await request.app[WORKFLOWS].save(user, name, data, match, auto=query.autosave)
    return _told(request, user, entry, 201 if new else 200)


async def read(request: web.Request, foreign: Foreign) -> ReadAnswer:
    """Read a workflow of another form; nothing is saved."""
    told, text = await request.app[HOST].read(foreign.workflow)
    problems = [Problem(**problem) for problem in told["problems"]]
    return ReadAnswer(format=told["format"], workflow=json.loads(text), problems=problems)


async def delete(request: web.Request) -> None:
    """Delete a workflow; it can be restored."""
    user = principal(request).user
    name = await request.app[WORKFLOWS].delete(user, request.match_info["name"], expected(request))
    request.app[HUB].publish("workflow.deleted", {"name": name}, user=user)


async def revisions(request: web.Request, query: NameQuery) -> RevisionList:
    """List the revisions of a workflow."""
    found = await request.app[WORKFLOWS].revisions(principal(request).user, query.name)
    return RevisionList(items=[_version(revision) for revision in found])


async def revision(request: web.Request, query: NameQuery) -> web.Response:
    """Return a workflow as it was."""
    data = await request.app[WORKFLOWS].revision(principal(request).user, query.name, _number(request))
    return web.Response(body=data, content_type="application/json")


async def restore(request: web.Request, query: NameQuery) -> web.Response:
    """Save a workflow as it was; what it is now stays a revision."""
    user = principal(request).user
    entry = await request.app[WORKFLOWS].restore(user, query.name, _number(request), expected(request))
    return _told(request, user, entry, 200)


def expected(request: BaseRequest) -> frozenset[str] | None:
    """Return the ETags of which a document must have one: `*` any, none of them: it must not be there; None: not told.

    Raises `ApiError` 400 for headers that cannot be read, which would otherwise let a change through.
    """
    if hdrs.IF_NONE_MATCH in request.headers:
        if request.headers.getall(hdrs.IF_NONE_MATCH) != [ANY] or hdrs.IF_MATCH in request.headers:
            raise ApiError(400, "bad_precondition", "only `If-None-Match: *`, without If-Match, is understood here")
        return frozenset()
    if hdrs.IF_MATCH not in request.headers:
        return None
    tags = request.if_match
    if not tags or any(tag.is_weak for tag in tags):
        raise ApiError(400, "bad_precondition", 'If-Match holds no ETag such as "0a1b..."')
    return frozenset(tag.value for tag in tags)


def _told(request: web.Request, user: str, entry: Entry, status: int) -> web.Response:
    """Tell of a workflow that was saved: its other clients, and the one that did it."""
    told = WorkflowAnswer(**asdict(entry))
    request.app[HUB].publish("workflow.saved", told.model_dump(), user=user)
    headers = {hdrs.ETAG: f'"{entry.etag}"', REVISION: str(entry.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = request.rel_url.raw_path or API
    return respond(told, status, headers)


def _version(revision: Revision) -> RevisionAnswer:
    return RevisionAnswer(
        number=revision.number,
        etag=revision.etag,
        modified=revision.modified,
        size=revision.size,
        autosave=revision.since is not None,
    )


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 8 else -1


CHANGED = {412: "It is another one by now; ETag tells which"}
ROUTES: tuple[Route, ...] = (
    Route("GET", "/workflows", index, "List saved workflows by name", query=WorkflowsQuery, answer=WorkflowList),
    Route(
        "POST",
        "/workflows/read",
        read,
        "Read a workflow of another form, such as ComfyUI's API form, into ours",
        body=Foreign,
        answer=ReadAnswer,
        errors={503: "The process that knows the node types is being started"},
    ),
    Route("GET", "/workflows/{name:.+}", show, "Return a saved workflow; its ETag is needed to replace it"),
    Route(
        "PUT",
        "/workflows/{name:.+}",
        save,
        "Save a workflow: `If-None-Match: *` for a new one, `If-Match` with the ETag of the one it replaces",
        query=SaveQuery,
        answer=WorkflowAnswer,
        also={201: "It is new"},
        errors={**CHANGED, 428: "Neither If-Match nor If-None-Match was sent"},
    ),
    Route(
        "DELETE", "/workflows/{name:.+}", delete, "Delete a workflow; it can be restored", status=204, errors=CHANGED
    ),
    Route("GET", "/revisions", revisions, "List the revisions of a workflow", query=NameQuery, answer=RevisionList),
    Route("GET", "/revisions/{number}", revision, "Return a workflow as it was", query=NameQuery),
    Route(
        "POST",
        "/revisions/{number}/restore",
        restore,
        "Save a workflow as it was; `If-Match` is heeded where it is sent",
        query=NameQuery,
        answer=WorkflowAnswer,
        errors=CHANGED,
    ),
)
