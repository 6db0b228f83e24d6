"""Pictures as bytes, a second user, outputs without running anything."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from nodegraph.server.files.paths import user_folder
from nodegraph.server.keys import ACCOUNTS, SETTINGS, STORE
from nodegraph.server.records import Output, Submission


class Shared(Protocol):
    """A server in a thread, as `shared` of the folder above gives it."""

    url: str
    data: Path

    def run(self, work: Callable[[web.Application], Awaitable[Any]]) -> Any: ...


class MakePicture(Protocol):
    """Return a picture as a file's bytes."""

    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


@pytest.fixture(scope="session")
def picture() -> MakePicture:
    def make(format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes:
        target = io.BytesIO()
        Image.new("RGB", size, color).save(target, format)
        return target.getvalue()

    return make


@pytest.fixture
async def ada(shared: Shared) -> AsyncIterator[aiohttp.ClientSession]:
    """Return the client of a second user, who is no admin."""

    async def add(app: web.Application) -> str:
        accounts = app[ACCOUNTS]
        known = {user.name for user in await accounts.users()}
        return await accounts.renew("ada") if "ada" in known else await accounts.add("ada")

    token = shared.run(add)
    async with aiohttp.ClientSession(shared.url, headers={"Authorization": f"Bearer {token}"}) as session:
        yield session


class MakeOutput(Protocol):
    """Put a file where an output lies, and its row into the store."""

    def __call__(self, name: str, data: bytes, media: str, *, user: str = "owner", settled: bool = True) -> Output: ...


@pytest.fixture
def make_output(shared: Shared) -> MakeOutput:
    def make(name: str, data: bytes, media: str, *, user: str = "owner", settled: bool = True) -> Output:
        async def put(app: web.Application) -> Output:
            store = app[STORE]
            (job,) = await store.add(user, [Submission(document=b"{}")])
            output = Output(id="", seq=0, job=job.id, user=user, node="save", ordinal=0, name=name, media=media)
            row = await store.reserve_output(output)
            if settled:
                path = user_folder(app[SETTINGS].data, user, "output") / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                row = await store.settle_output(row.id, name, len(data), 40, 30) or row
            return row

        made: Output = shared.run(put)
        return made

    return make
