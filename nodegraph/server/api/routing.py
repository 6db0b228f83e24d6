"""Routes as data: method, path, models of query, body and answer, from which both the handlers and OpenAPI are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.jsontext import Limits as JsonLimits
from nodegraph.engine.jsontext import parse_json
from nodegraph.server.api.misfits import misfit
from nodegraph.server.errors import ApiError, problem_json
from nodegraph.server.keys import SETTINGS

API: Final = "/api/v1"
LARGE: Final = 128 * 1024
"""Bytes of JSON whose reading would hold all other requests up."""
BINARY: Final = "application/octet-stream"


class Model(BaseModel):
    """Base of what stands on the wire: strict, finite, and no field too many."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True, defer_build=True)


class Query(BaseModel):
    """Base of a route's query; its values come as text."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, defer_build=True)


M = TypeVar("M", bound=Model)
Q = TypeVar("Q", bound=Query)
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """A route. The handler takes the request, then the query if it has a model, then the body if it has one.

    It returns a model, which is written as JSON with `status`, None for 204, or a response of its own. `path` is below
    `/api/v1` and may hold `{id}` or `{name:.+}`. `admin`: only for admins. `public`: no token is asked for.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    query: type[Query] | None = None
    body: type[Model] | None = None
    optional: bool = False
    """Whether the body may be missing; its defaults count then."""
    answer: type[Model] | None = None
    status: int = 200
    media: str = "application/json"
    """Of the answer, where it is not JSON."""
    takes: str = "application/json"
    """Of the body, where it is not JSON."""
    also: Mapping[int, str] = field(default_factory=dict)
    """Further statuses of success with the same answer, and what they mean."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """Statuses beside those that any route may give (400, 401, 403, 404, 422, 429), and what they mean."""
    tag: str = ""
    admin: bool = False
    public: bool = False


ROUTES: Final = web.AppKey("ROUTES", list[Route])


def add_routes(app: web.Application, routes: Iterable[Route], tag: str) -> None:
    """Add the routes of a resource."""
    for route in routes:
        app[ROUTES].append(route if route.tag else Route(**{**vars(route), "tag": tag}))
        app.router.add_route(route.method, API + route.path, _handler(route))


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    from nodegraph.server.security.principal import require_admin

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.admin:
            require_admin(request)
        arguments: list[Any] = [request]
        if route.query is not None:
            arguments.append(_query(route.query, request))
        if route.body is not None:
            missing = route.optional and not request.can_read_body
            arguments.append(route.body() if missing else await body(route.body, request))
        answer = await route.handler(*arguments)
        if answer is None:
            return web.Response(status=204)
        if isinstance(answer, web.StreamResponse):
            return answer
        return respond(answer, route.status)

    return handle


def respond(answer: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a model as JSON; fields without a value are left out."""
    text = answer.model_dump_json(exclude_none=True, by_alias=True)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


async def body(model: type[M], request: web.Request) -> M:
    """Read a JSON body strictly: duplicate keys, NaN, depth and fields too many are refused with their place."""
    document = await json_body(request)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise misfit("body", model, error) from error


async def json_body(request: web.Request) -> Any:
    """Read a JSON body of any form; raise 415 for another type, 413 beyond the limit, 400 for what is no JSON."""
    if request.content_type != "application/json":
        raise ApiError(415, "not_json", f"got a body of type {request.content_type!r}, expected application/json")
    limits = request.app[SETTINGS].limits
    data = await request.read()
    bounds = JsonLimits(bytes=limits.body, depth=limits.depth)
    try:
        return parse_json(data, bounds) if len(data) <= LARGE else await asyncio.to_thread(parse_json, data, bounds)
    except WorkflowError as error:
        problems = [problem_json(problem) for problem in error.problems]
        status = 413 if any(problem.code == "file_too_large" for problem in error.problems) else 400
        raise ApiError(status, error.problems[0].code, error.problems[0].message, problems=problems) from error


def _query(model: type[Q], request: web.Request) -> Q:
    values: dict[str, Any] = {}
    for name in request.query:
        several = request.query.getall(name)
        values[name] = several[0] if len(several) == 1 else several
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise misfit("query", model, error) from error
