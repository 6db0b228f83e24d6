"""JSON in lines (NDJSON), out and in, without holding more than a line of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiohttp import web

from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.jsontext import Limits as JsonLimits
from nodegraph.engine.jsontext import parse_json
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import SETTINGS

Json = Any
NDJSON: Final = "application/x-ndjson"


async def stream_lines(
    request: web.Request, items: AsyncIterator[Mapping[str, Json]], filename: str
) -> web.StreamResponse:
    """Answer with one JSON object a line, as they come."""
    answer = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{filename}"'})
    answer.content_type = NDJSON
    await answer.prepare(request)
    async for item in items:
        await answer.write(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    await answer.write_eof()
    return answer


async def read_lines(request: web.Request) -> AsyncIterator[Mapping[str, Json]]:
    """Yield the objects of a body of lines; raise 415 for another type, 413 beyond a limit, 400 with the line."""
    if request.content_type != NDJSON:
        raise ApiError(415, "not_ndjson", f"got a body of type {request.content_type!r}, expected {NDJSON}")
    limits = request.app[SETTINGS].limits
    number = 0
    async for line in _lines(request, limits.upload, limits.body):
        number += 1
        if line.strip():
            yield _object(line, number, JsonLimits(bytes=limits.body, depth=limits.depth + 10))


async def _lines(request: web.Request, most: int, longest: int) -> AsyncIterator[bytes]:
    total, rest = 0, b""
    async for chunk in request.content.iter_any():
        total += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        if total > most or len(rest) > longest or any(len(line) > longest for line in whole):
            limits = f"a body of {most} bytes, a line of {longest}"
            raise ApiError(413, "too_large", f"the import is too long: taken are at most {limits}")
        for line in whole:
            yield line
    yield rest


def _object(line: bytes, number: int, limits: JsonLimits) -> Mapping[str, Json]:
    try:
        value = parse_json(line, limits)
    except WorkflowError as error:
        raise ApiError(400, "invalid_json", f"line {number}: {error.problems[0].message}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_json", f"line {number}: expected an object")
    return value
