"""The headers that every answer has, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
ALWAYS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    hdrs.SERVER: "nodegraph",
}
UNLESS_SET: Final[Mapping[str, str]] = {"Content-Security-Policy": POLICY, hdrs.CACHE_CONTROL: "no-store"}
"""A route may be stricter with what it sends, and may let it be kept."""
REQUEST_ID: Final = web.RequestKey("REQUEST_ID", str)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers just before an answer's head is written."""
    response.headers.update(ALWAYS)
    for name, value in UNLESS_SET.items():
        response.headers.setdefault(name, value)
    if (reference := request.get(REQUEST_ID)) is not None:
        response.headers["X-Request-Id"] = reference
