"""Files of weights that are headers alone, and a hub on this machine that does what a test tells it to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from urllib.parse import unquote

import pytest
from aiohttp import web

from nodegraph import resources
from nodegraph.collection.hub import Hub

BUNDLED = tuple(sorted(path.name for path in (resources.models() / "loras").glob("*.safetensors")))
"""The LoRAs that are always there."""
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "F8_E4M3": 1}
Shapes = Mapping[str, Sequence[int]]
Place = Callable[..., Path]


def header_of(shapes: Shapes, dtype: str = "F16", metadata: Mapping[str, str] | None = None) -> tuple[bytes, int]:
    """Return the head of a safetensors file and the bytes that come after it."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name, shape in shapes.items():
        end = begin + prod(shape) * BYTES[dtype]
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text, begin


@pytest.fixture
def place() -> Place:
    """Return what writes a safetensors file whose numbers take no room on the disk."""

    def place_file(path: Path, shapes: Shapes, dtype: str = "F16", metadata: Mapping[str, str] | None = None) -> Path:
        head, data = header_of(shapes, dtype, metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(head)
            stream.truncate(len(head) + data)
        return path

    return place_file


@dataclass
class Asked:
    """A request that came to the hub."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class FakeHub:
    """A hub that serves files as the real one does: an answer that tells of them, and a redirect to where they are.

    `breaks` are after how many bytes its next connections end; `sha256` what it tells of files in place of the truth.
    """

    endpoint: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    sha256: str | None = None
    expired: int = 0
    """How often where files are says no."""
    ranges: bool = True
    large: bool = True
    elsewhere: str | None = None
    refusal: tuple[int, str] | None = None
    moved: dict[str, str] = field(default_factory=dict)
    stops: int = 0
    """After how many bytes it says no more, without an end."""
    stopped: threading.Event = field(default_factory=threading.Event)
    on_fetch: Callable[[], object] | None = None

    @property
    def hub(self) -> Hub:
        return Hub(self.endpoint)

    @property
    def fetched(self) -> list[str | None]:
        """The ranges that were asked for where files are."""
        return [asked.range for asked in self.asked if asked.method == "GET" and "/blobs/" in asked.path]

    def put(self, path: str, data: bytes) -> bytes:
        self.files[path] = data
        return data

    async def answer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization")
        raw = request.rel_url.raw_path
        self.asked.append(Asked(request.method, raw, request.headers.get("Range"), token))
        if self.errors:
            return web.Response(status=self.errors.pop(0))
        if request.path.startswith("/blobs/") and self.expired:
            self.expired -= 1
            return web.Response(status=403)
        if request.path.startswith("/blobs/"):
            return await self._blob(request, self.files[request.path.removeprefix("/blobs/")])
        owner, repo, _, revision, path = raw.removeprefix("/").split("/", 4)
        return self._resolve(request, f"{owner}/{repo}", unquote(revision), unquote(path))

    def _resolve(self, request: web.Request, repo: str, revision: str, path: str) -> web.StreamResponse:
        if repo in self.moved:
            target = request.path.replace(repo, self.moved[repo])
            return web.Response(status=307, headers={"Location": target})
        if self.refusal is not None:
            status, code = self.refusal
            return web.Response(status=status, headers={"X-Error-Code": code, "X-Error-Message": "as it says"})
        data = self.files.get(f"{repo}/{path}")
        if data is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        if revision not in ("main", "v1.0", "refs/pr/1", "c0ffee"):
            return web.Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
        headers = {"X-Repo-Commit": "c0ffee", "Accept-Ranges": "bytes"}
        if not self.large:
            blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            return web.Response(body=data, headers={**headers, "ETag": f'"{blob}"'})
        headers["X-Linked-Etag"] = f'"{self.sha256 or hashlib.sha256(data).hexdigest()}"'
        headers["X-Linked-Size"] = str(len(data))
        where = self.elsewhere or f"{self.endpoint}/blobs/{repo}/{path}"
        return web.Response(status=302, headers={**headers, "Location": where})

    async def _blob(self, request: web.Request, data: bytes) -> web.StreamResponse:
        start, end = 0, len(data)
        asked = request.http_range
        headers = {}
        if self.ranges and asked.start is not None:
            start, end = asked.start, min(asked.stop or len(data), len(data))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        response = web.StreamResponse(status=206 if headers else 200, headers=headers)
        response.content_length = end - start
        await response.prepare(request)
        whole = data[start:end]
        if self.on_fetch is not None and asked.stop is None:
            self.on_fetch()
        looks = asked.stop is not None  # at a file's start, before it is fetched
        if self.breaks and not looks and len(whole) > self.breaks[0]:
            await response.write(whole[: self.breaks.pop(0)])
            await asyncio.sleep(0.05)  # for what was sent to be on its way
            if request.transport is not None:
                request.transport.abort()
            return response
        if self.stops and not looks:
            await response.write(whole[: self.stops])
            await asyncio.sleep(0.3)
            self.stopped.set()
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.05)
            return response
        await response.write(whole)
        return response


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """Give a hub that answers on this machine, from a thread of its own."""
    fake, ready, loop = FakeHub(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", fake.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def live() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=live)
    thread.start()
    assert ready.wait(10)
    yield fake
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
