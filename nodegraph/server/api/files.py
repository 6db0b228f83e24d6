"""`/files`: pictures and texts that workflows load."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote, unquote

from aiohttp import BodyPartReader, web
from pydantic import Field

from nodegraph.server.api.routing import API, Model, Query, Route, respond
from nodegraph.server.errors import ApiError
from nodegraph.server.files.inputs import CHUNK, InputFile
from nodegraph.server.files.paths import tame_name
from nodegraph.server.files.serving import SentFile, file_headers, media_of
from nodegraph.server.files.thumbnails import LARGEST
from nodegraph.server.keys import HUB, INPUTS
from nodegraph.server.security.principal import principal

FIELD = "file"
Size = Annotated[int, Field(ge=16, le=LARGEST)]


class FilesQuery(Query):
    """Which files: those with `text` in their names. `cursor` is that of the part before."""

    text: Annotated[str, Field(max_length=200)] = ""
    cursor: Annotated[str, Field(max_length=2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class UploadQuery(Query):
    """The name that a file shall have, folders included; without it, the one it is sent with."""

    name: Annotated[str, Field(max_length=2000)] | None = None


class DownloadQuery(Query):
    """Whether a browser shall save the file rather than show it."""

    download: bool = False


class SizeQuery(Query):
    """How many pixels wide and high a thumbnail is at most; the next larger size that is made is given."""

    size: Size = 256


class FileAnswer(Model):
    """A file that workflows may load by its name; `own`: the user may remove it."""

    name: str
    size: int
    modified: float
    media: str
    own: bool
    url: str
    thumbnail: str | None = None

    @classmethod
    def of(cls, file: InputFile) -> FileAnswer:
        """Return a file as it stands on the wire."""
        url = f"{API}/files/{quote(file.name)}"
        thumbnail = f"{url}/thumbnail" if file.media.startswith("image/") else None
        given = {name: getattr(file, name) for name in ("name", "size", "modified", "media", "own")}
        return cls(**given, url=url, thumbnail=thumbnail)


class FileList(Model):
    """A part of the files, by name; no `cursor`: it was the last."""

    items: list[FileAnswer]
    cursor: str | None = None


async def index(request: web.Request, query: FilesQuery) -> FileList:
    """List files."""
    wanted = query.text.casefold()
    after = ("", "") if query.cursor is None else (query.cursor.casefold(), query.cursor)
    files = await request.app[INPUTS].list(principal(request).user)
    found = [f for f in files if wanted in f.name.casefold() and (f.name.casefold(), f.name) > after]
    shown = found[: query.limit]
    return FileList(items=list(map(FileAnswer.of, shown)), cursor=shown[-1].name if len(found) > len(shown) else None)


async def upload(request: web.Request, query: UploadQuery) -> web.Response:
    """Take in a file."""
    user = principal(request).user
    name, content = await _sent(request)
    file, new = await request.app[INPUTS].save(user, query.name or tame_name(name), content)
    answer = FileAnswer.of(file)
    if new:
        request.app[HUB].publish("file.added", {"name": file.name}, user=user)
    return respond(answer, 201 if new else 200, {"Location": answer.url})


async def show(request: web.Request, query: DownloadQuery) -> web.StreamResponse:
    """Send a file."""
    name = request.match_info["name"]
    path = await request.app[INPUTS].find(principal(request).user, name)
    return SentFile(path, file_headers(name, media_of(name), download=query.download))


async def thumbnail(request: web.Request, query: SizeQuery) -> web.StreamResponse:
    """Send a small picture of a file."""
    name = request.match_info["name"]
    path = await request.app[INPUTS].thumbnail(principal(request).user, name, query.size)
    return SentFile(path, file_headers(f"{name}.webp", "image/webp"))


async def delete(request: web.Request) -> None:
    """Remove a file of the user's own."""
    user = principal(request).user
    name = await request.app[INPUTS].remove(user, request.match_info["name"])
    request.app[HUB].publish("file.removed", {"name": name}, user=user)


async def _sent(request: web.Request) -> tuple[str, AsyncIterator[bytes]]:
    """Return the name and content of what is sent: the first field of a form, `file`, or the body itself."""
    if request.content_type != "multipart/form-data":
        return "file", request.content.iter_chunked(CHUNK)
    try:
        part = await (await request.multipart()).next()
    except (ValueError, AssertionError, web.HTTPException) as error:
        raise _bad_form() from error
    if not isinstance(part, BodyPartReader) or part.name != FIELD:
        raise _bad_form()
    # Clients encode some characters of a name, browsers fewer than others.
    return unquote(part.filename or "file"), _chunks(part)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while True:
        try:
            chunk = await part.read_chunk(CHUNK)
        except (ValueError, AssertionError) as error:
            raise _bad_form() from error
        if not chunk:
            return
        yield bytes(chunk)


def _bad_form() -> ApiError:
    return ApiError(400, "bad_form", f"expected a form whose first field, {FIELD!r}, holds the file")


THUMBNAIL = {415: "It is no picture"}
ROUTES: tuple[Route, ...] = (
    Route("GET", "/files", index, "List the files that workflows may load", query=FilesQuery, answer=FileList),
    Route(
        "POST",
        "/files",
        upload,
        "Send a file: a form with the field `file`, or the bytes as they are with `name`",
        query=UploadQuery,
        answer=FileAnswer,
        status=201,
        takes="multipart/form-data",
        also={200: "The same file was there already"},
        errors={413: "Too large", 415: "Neither a picture nor a text that is taken"},
    ),
    Route(
        "GET",
        "/files/{name:.+}/thumbnail",
        thumbnail,
        "Send a small picture of a file",
        query=SizeQuery,
        media="image/webp",
        errors=THUMBNAIL,
    ),
    Route("GET", "/files/{name:.+}", show, "Send a file", query=DownloadQuery, media="application/octet-stream"),
    Route("DELETE", "/files/{name:.+}", delete, "Remove a file of one's own", status=204),
)
