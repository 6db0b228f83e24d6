"""Files as they are sent: types from a fixed list, never guessed by a browser, and never a page of this server."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"})
"""Types that a browser may show in its place; all else is saved."""
BY_SUFFIX: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".txt": "text/plain",
    ".csv": "text/plain",
    ".json": "text/plain",
    ".jsonl": "text/plain",
}
"""Types of what uploads may be."""
PICTURES: Final = tuple(suffix for suffix, media in BY_SUFFIX.items() if media != "text/plain")
TEXTS: Final = tuple(suffix for suffix, media in BY_SUFFIX.items() if media == "text/plain")
_KEPT: Final = frozenset({*BY_SUFFIX.values(), "video/mp4", "video/webm", "audio/wav", "audio/flac", "audio/mpeg"})
SANDBOX: Final = "sandbox; default-src 'none'"


def media_of(name: str) -> str:
    """Return the type that a file is sent as, by its name."""
    return BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def disposition(name: str, *, attachment: bool) -> str:
    """Return a Content-Disposition (RFC 6266): no name can end the header or begin another."""
    last = PurePosixPath(name).name or "file"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in last)
    kind = "attachment" if attachment else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(last.encode('utf-8', 'replace'), safe='')}"


def file_headers(name: str, media: str, *, download: bool = False) -> CIMultiDict[str]:
    """Return the headers of a file that was made or sent by whomever."""
    kept = media if media in _KEPT else "application/octet-stream"
    attachment = download or kept not in SHOWN
    return CIMultiDict(
        {
            hdrs.CONTENT_TYPE: f"{kept}; charset=utf-8" if kept == "text/plain" else kept,
            hdrs.CONTENT_DISPOSITION: disposition(name, attachment=attachment),
            "Content-Security-Policy": SANDBOX,
            hdrs.CACHE_CONTROL: "private, no-cache",
        }
    )


class SentFile(web.FileResponse):
    """A file with ETag and ranges; `If-Range` with another file's ETag gets the whole one."""

    def __init__(self, path: Path, headers: CIMultiDict[str]) -> None:
        super().__init__(path, headers=headers)
        self._file = path

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the file as it lies there: a compressed one beside it is another file."""
        headers = request.headers.copy()
        headers.popall(hdrs.ACCEPT_ENCODING, None)
        wanted = headers.get(hdrs.IF_RANGE, "")
        if '"' in wanted and wanted != self._etag():
            headers.popall(hdrs.RANGE, None)
        return await super().prepare(request.clone(headers=headers))

    def _etag(self) -> str:
        try:
            status = self._file.stat()
        except OSError:
            return ""
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
