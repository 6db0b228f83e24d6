"""The pages: what ships in `web/`, and the way in by a link that works once."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import time
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from nodegraph import resources
from nodegraph.server.accounts import SESSION_SECONDS
from nodegraph.server.errors import not_found
from nodegraph.server.keys import ACCOUNTS, SETTINGS
from nodegraph.server.security.guard import session_cookie

TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".svg": "image/svg+xml", ".webp": "image/webp"}
"""What the system's own table may not know, or may have been told otherwise."""


async def page(request: web.Request) -> web.StreamResponse:
    """Answer a shipped file; the browser may keep it, but asks each time whether it is still the same."""
    name = request.match_info.get("name") or "index.html"
    found = await asyncio.to_thread(_find, name)
    if found is None:
        raise not_found("page of that name")
    data, etag = found
    headers = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: "no-cache"}
    known = request.if_none_match
    if known and any(tag.value in (etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    suffix = Path(name).suffix.lower()
    media = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    charset = "utf-8" if media.startswith("text/") else None
    return web.Response(body=data, content_type=media, charset=charset, headers=headers)


def _find(name: str) -> tuple[bytes, str] | None:
    """Return a file below `web/` by one of the names that are really there: no other name reaches the disk."""
    path = _names(resources.web(), int(time.monotonic())).get(name)
    try:
        data = path.read_bytes() if path is not None else None
    except OSError:
        return None
    return None if data is None else (data, hashlib.sha256(data).hexdigest()[:32])


@lru_cache(maxsize=1)
def _names(root: Path, second: int) -> dict[str, Path]:  # looked up anew each second, not for each request
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(root).as_posix(): path for path in files if path.suffix not in (".py", ".pyc")}


async def login(request: web.Request) -> web.StreamResponse:
    """Let a browser in by a code that works once: it gets a cookie and the start page."""
    settings = request.app[SETTINGS]
    session = await request.app[ACCOUNTS].login(request.query.get("code", ""))
    if session is None:
        return _refused()
    response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
    response.set_cookie(
        session_cookie(settings),
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Strict",
        secure=request.secure,
        path="/",
    )
    return response


def _refused() -> web.Response:
    words = "This link has been used, or is too old. On the machine that the server runs on, this makes another one:"
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nodegraph</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/style/tokens.css"><link rel="stylesheet" href="/style/base.css"></head><body>'
        f'<main class="page"><h1>nodegraph</h1><p>{escape(words)}</p><pre><code>nodegraph users link owner</code></pre>'
        "</main></body></html>"
    )
    return web.Response(status=403, text=text, content_type="text/html")
