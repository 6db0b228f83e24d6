"""`/templates`: the workflows that come with nodegraph."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from urllib.parse import quote

from aiohttp import hdrs, web

from nodegraph import resources
from nodegraph.server.api.routing import Model, Route
from nodegraph.server.errors import not_found
from nodegraph.server.files.paths import resolve, shown_name

SUFFIX = ".json"


class Template(Model):
    """A workflow that is ready to run: its name, how many nodes it has, what it exposes.

    `title` and `description` are its own words; `thumbnail` is the address of a picture that it made, if there is one.
    """

    name: str
    title: str
    description: str
    thumbnail: str | None = None
    nodes: int
    inputs: list[str]
    size: int


class TemplateList(Model):
    """All of them, by name."""

    items: list[Template]


async def index(request: web.Request) -> TemplateList:
    """List templates."""
    return TemplateList(items=await asyncio.to_thread(_templates, resources.workflows()))


async def show(request: web.Request) -> web.Response:
    """Return a template."""
    name = request.match_info["name"].removesuffix(SUFFIX)
    data = await asyncio.to_thread(_read, resolve(resources.workflows(), name + SUFFIX))
    if data is None:
        raise not_found(f"template {shown_name(name)}")
    etag = hashlib.sha256(data).hexdigest()
    headers = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: "private, no-cache"}
    known = request.if_none_match
    if known is not None and any(tag.value in (etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type="application/json", headers=headers)


def _templates(folder: Path) -> list[Template]:
    found = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        data = path.read_bytes()
        document = json.loads(data)
        name = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
        found.append(
            Template(
                name=name,
                title=document.get("meta", {}).get("title") or name.replace("_", " "),
                description=document.get("meta", {}).get("description", ""),
                thumbnail=_picture(name),
                nodes=len(document.get("nodes", {})),
                inputs=list(document.get("inputs", {})),
                size=len(data),
            )
        )
    return found


def _picture(name: str) -> str | None:
    """Return a template's picture, a page like others: beside the workflows it would be one that these can load."""
    page = f"templates/{name}.webp"
    return f"/{quote(page)}" if (resources.web() / page).is_file() else None


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


ROUTES: tuple[Route, ...] = (
    Route("GET", "/templates", index, "List the workflows that come with nodegraph", answer=TemplateList),
    Route("GET", "/templates/{name:.+}", show, "Return a workflow that comes with nodegraph"),
)
