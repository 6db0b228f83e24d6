"""Every answer has a form: errors are JSON with a code and a sentence, and what was not foreseen shows a reference."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from nodegraph.engine.errors import WorkflowError
from nodegraph.server.errors import ApiError, problem_json
from nodegraph.server.metrics import METER
from nodegraph.server.security.headers import REQUEST_ID
from nodegraph.server.security.principal import KEY
from nodegraph.server.store.errors import AlreadyError, CursorError, ImportedError, StoreBusyError, StoreFullError

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
FORESEEN: Final = (
    (CursorError, 400, "bad_cursor"),
    (ImportedError, 422, "bad_import"),
    (AlreadyError, 409, "already_there"),
    (StoreFullError, 507, "disk_full"),
)
"""What the store refuses for reasons that the client should know."""
KEPT: Final = ("Allow",)
log = logging.getLogger(__name__)
access = logging.getLogger("nodegraph.server.access")


@web.middleware
async def answers(request: web.Request, handler: Next) -> web.StreamResponse:
    """Give the request a reference, turn whatever is raised into an answer, and log and count how it ended."""
    request[REQUEST_ID] = secrets.token_hex(6)
    began, status = time.perf_counter(), 0
    try:
        response = await _answered(request, handler)
        status = response.status
        return response
    finally:
        seconds = time.perf_counter() - began
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        request.app[METER].count(request.method, route, status, seconds)
        who = request.get(KEY)
        path = request.rel_url.raw_path  # as it was sent: decoded, it may hold line breaks
        extra = {
            "request": request[REQUEST_ID],
            "method": request.method,
            "path": path,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "user": who.user if who is not None else None,
        }
        access.info("%s %s: %s", request.method, path, status or "gone", extra=extra)


async def _answered(request: web.Request, handler: Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _respond(request, error.status, error.document, error.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = CODES.get(error.status, "refused")
        document = ApiError(error.status, code, error.reason.lower()).document
        return _respond(request, error.status, document, {k: v for k, v in error.headers.items() if k in KEPT})
    except WorkflowError as error:
        problems = [problem_json(problem) for problem in error.problems]
        document = ApiError(422, "invalid_workflow", "the workflow is invalid", problems=problems).document
        return _respond(request, 422, document)
    except ConnectionError:
        raise
    except StoreBusyError as error:  # whose text names the process
        log.warning("%s", error)
        busy = ApiError(503, "store_busy", "another program holds the server's store", headers={"Retry-After": "5"})
        return _respond(request, busy.status, busy.document, busy.headers)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text stays in the log
        return _unforeseen(request, error)


def _unforeseen(request: web.Request, error: Exception) -> web.StreamResponse:
    reference = request[REQUEST_ID]
    for kind, status, code in FORESEEN:
        if isinstance(error, kind):
            return _respond(request, status, ApiError(status, code, str(error)).document)
    log.error("request %s failed", reference, exc_info=error, extra={"request": reference})
    message = f"something went wrong here; the server's log tells more under {reference}"
    return _respond(request, 500, {"error": {"code": "internal", "message": message, "reference": reference}})


def _respond(
    request: web.Request, status: int, document: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> web.Response:
    if request.writer.output_size > 0:  # the answer has begun: all that can be done is to end it
        raise ConnectionResetError("the answer had begun")
    return web.json_response(document, status=status, headers=headers)
