"""Before there is a request: connections are counted, heads must come in time, broken ones are answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import web
from aiohttp.web_request import BaseRequest

from nodegraph.server.security.headers import ALWAYS, UNLESS_SET

LONGEST_HEADER: Final = 16 * 1024
log = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """A connection whose broken requests are told so in our words, with our headers."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be read as HTTP, or what slipped through the middlewares."""
        if isinstance(exc, ConnectionError):
            log.debug("a client left before its answer: %s", exc)
        elif status >= 500:
            log.error("an answer failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer had begun")
        code, words = ("bad_request", "this is no HTTP request") if status < 500 else ("internal", "an answer failed")
        document = f'{{"error": {{"code": "{code}", "message": "{words}"}}}}'
        headers = {**UNLESS_SET, **ALWAYS}
        response = web.Response(status=status, text=document, content_type="application/json", headers=headers)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes a connection of ours for each that comes in; what is beyond `most` is closed at once."""

    def __init__(self, *arguments: Any, most: int, options: dict[str, Any], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most, self._options = most, options

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection."""
        super().connection_made(handler, transport)
        if len(self._connections) > self._most:
            transport.abort()


class Runner(web.AppRunner):
    """Runs the application on such connections. `read_seconds`: for a head to come in, and for keeping idle ones."""

    __slots__ = ("_most", "_read_seconds")

    def __init__(self, app: web.Application, *, read_seconds: float, most: int) -> None:
        super().__init__(app, shutdown_timeout=1.0)
        self._read_seconds, self._most = read_seconds, most

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        options = {
            "keepalive_timeout": self._read_seconds,
            "max_field_size": LONGEST_HEADER,
            "max_line_size": LONGEST_HEADER,
            "access_log": None,
            "auto_decompress": False,  # what is compressed is refused, not unpacked
            "lingering_time": 1.0,
        }
        return _Server(server.request_handler, request_factory=server.request_factory, most=self._most, options=options)
