"""Bounds on what clients may take of the server: bytes and seconds of bodies, uploads at once.

The hub bounds event streams, the queue bounds jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from nodegraph.server.api.routing import ROUTES
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import SETTINGS
from nodegraph.server.security.guard import registered
from nodegraph.server.settings import Limits

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
SLOWEST: Final = 32 * 1024
"""Bytes a second below which a body is given up, once the seconds for reading have passed."""
FRAMING: Final = 64 * 1024
"""Bytes that the multipart form may add to an upload."""
LATER: Final = 5
"""Seconds after which whoever was one too many may ask again."""


@dataclass
class InUse:
    """What is taken at the moment."""

    uploads: int = 0


IN_USE: Final = web.AppKey("IN_USE", InUse)
UPLOADS: Final = web.AppKey("UPLOADS", frozenset[tuple[str, str]])
"""Methods and paths of the routes that take files."""


def set_limits(app: web.Application) -> None:
    """Begin to count; the routes are there."""
    app[IN_USE] = InUse()
    app[UPLOADS] = frozenset(registered(route) for route in app[ROUTES] if route.takes != "application/json")


@web.middleware
async def limits(request: web.Request, handler: Next) -> web.StreamResponse:
    """Refuse what is too large or too much, give up on what comes in too slowly."""
    bounds, use = request.app[SETTINGS].limits, request.app[IN_USE]
    if not request.body_exists:
        return await handler(request)
    uploading = _is_upload(request)
    most = bounds.upload + FRAMING if uploading else bounds.body
    if (request.content_length or 0) > most:
        raise too_large(most)
    with _upload(use, bounds) if uploading else nullcontext(), _watched(request, most, bounds.read_seconds):
        return await handler(request)


def too_large(most: int) -> ApiError:
    """Return the answer to a body beyond the limit."""
    return ApiError(413, "too_large", f"the body is larger than {most} bytes", headers={hdrs.CONNECTION: "close"})


def _is_upload(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is not None and (request.method, resource.canonical) in request.app[UPLOADS]


class _Watch:
    """Looks after a body while its handler runs: where it comes too slowly or grows too long, reading it raises."""

    def __init__(self, request: web.Request, most: int, seconds: float) -> None:
        self._content, self._most, self._seconds = request.content, most, seconds
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._again()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _again(self) -> None:
        self._timer = self._loop.call_later(min(1.0, self._seconds / 4), self._look)

    def _look(self) -> None:
        content = self._content
        if content.is_eof() or content.exception() is not None:
            return
        if content.total_bytes > self._most:
            content.set_exception(too_large(self._most))
        elif self._loop.time() - self._began > self._seconds + content.total_bytes / SLOWEST:
            message = "the body came in too slowly"
            content.set_exception(ApiError(408, "too_slow", message, headers={hdrs.CONNECTION: "close"}))
        else:
            self._again()


@contextmanager
def _watched(request: web.Request, most: int, seconds: float) -> Iterator[None]:
    watch = _Watch(request, most, seconds)
    try:
        yield
    finally:
        watch.stop()


@contextmanager
def _upload(use: InUse, bounds: Limits) -> Iterator[None]:
    if use.uploads >= bounds.uploads:
        headers: dict[str, str] = {hdrs.RETRY_AFTER: str(LATER)}
        raise ApiError(429, "too_many_uploads", f"{bounds.uploads} uploads are under way already", headers=headers)
    use.uploads += 1
    try:
        yield
    finally:
        use.uploads -= 1
