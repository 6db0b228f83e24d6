"""A client of a running server: submit workflows, follow them, fetch what they made.

```python
async with Client.from_data() as client:
    job = await client.submit(json.loads(text), inputs={"prompt": "a red circle"})
    job = await client.wait(job.id)
    for output in job.outputs:
        await client.download(output, Path("pictures"))
```
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from nodegraph.machine import user_data
from nodegraph.remote import ClientError, Job, Output, Update, error_of
from nodegraph.server.records import FINAL, State

API: Final = "/api/v1"
NDJSON: Final = "application/x-ndjson"
CHUNK: Final = 2**18
LONGEST_MESSAGE: Final = 64 * 2**20
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each new try to reach the server; the last one from then on."""
Json = Any
Stop = Collection[State]
ENDED: Final[Stop] = FINAL


class Client:
    """Speaks with one server; used as an async context manager. What fails raises `ClientError`.

    `patience` is for how many seconds a server that does not answer is asked again, such as one that is restarted.
    """

    def __init__(self, url: str, token: str = "", *, timeout: float = 60.0, patience: float = 60.0) -> None:
        self.url, self.patience = url.rstrip("/"), patience
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=timeout)
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_data(cls, folder: Path | None = None, **options: float) -> Client:
        """Return a client of the server that runs on this machine, by its data folder (None: the user's own)."""
        path = (folder or user_data()) / "server.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(told["url"]), str(told["token"]), **options)
        except FileNotFoundError as error:
            raise ClientError(
                0, "no_server", f"no server runs for {path.parent}; 'nodegraph serve' starts one"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClientError(0, "no_server", f"{path} cannot be read: {error}") from error

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit(
        self,
        workflow: Mapping[str, Json] | str,
        *,
        inputs: Mapping[str, Json] | None = None,
        targets: Collection[str] = (),
        name: str = "",
        priority: int = 0,
        client: str = "",
        key: str | None = None,
        timeout: float | None = None,
        webhook: str | None = None,
    ) -> Job:
        """Queue a workflow, given as a document or by the name it is saved under on the server.

        It is queued once even if the connection breaks and it is sent again; `key` makes that hold for later calls.
        """
        errand = {
            "workflow" if isinstance(workflow, Mapping) else "workflow_name": workflow,
            "inputs": dict(inputs or {}),
            "targets": list(targets),
            "name": name,
            "priority": priority,
            "client": client,
            "key": key or uuid.uuid4().hex,
            "timeout": timeout,
            "webhook": webhook,
        }
        return Job.of(await self._json("POST", "/jobs", {k: v for k, v in errand.items() if v is not None}, again=True))

    async def check(self, workflow: Mapping[str, Json], *, inputs: Mapping[str, Json] | None = None) -> Json:
        """Return what the server says of a workflow, without queueing it: `ok`, `problems`, `nodes`, `inputs`."""
        return await self._json("POST", "/jobs/check", {"workflow": workflow, "inputs": dict(inputs or {})}, again=True)

    async def job(self, id: str) -> Job:
        """Return all about a job."""
        return Job.of(await self._json("GET", f"/jobs/{_part(id)}"))

    async def jobs(
        self, *, states: Collection[State] = (), text: str = "", batch: str | None = None
    ) -> AsyncIterator[Job]:
        """Give the jobs, newest first: those in the states, with the text in their prompts or name, of the batch."""
        query: list[tuple[str, str]] = [("state", state.value) for state in states]
        query += [("text", text)] if text else []
        query += [("batch", batch)] if batch else []
        cursor: str | None = None
        while True:
            page = await self._json("GET", "/jobs", query=[*query, *([("cursor", cursor)] if cursor else [])])
            for item in page["items"]:
                yield Job.of(item)
            cursor = page.get("cursor")
            if cursor is None:
                return

    async def queue(self) -> Json:
        """Return how the queue is: `paused` and its `reason`, `queued`, `running`, `waiting`, `devices`, `jobs`."""
        return await self._json("GET", "/queue")

    async def cancel(self, id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return Job.of(await self._json("POST", f"/jobs/{_part(id)}/cancel", again=True))

    async def retry(self, id: str) -> Job:
        """Queue an ended job again; return the new one."""
        return Job.of(await self._json("POST", f"/jobs/{_part(id)}/retry"))

    async def answer(self, id: str, answers: Mapping[str, Json]) -> Job:
        """Answer what a waiting job asks, by node."""
        return Job.of(await self._json("POST", f"/jobs/{_part(id)}/answers", {"answers": dict(answers)}))

    async def delete(self, id: str, *, outputs: bool = False) -> None:
        """Remove an ended job, and with `outputs` the files that it made."""
        await self._json("DELETE", f"/jobs/{_part(id)}", query=[("outputs", str(outputs).lower())])

    async def export_jobs(self, *, states: Collection[State] = ()) -> AsyncIterator[bytes]:
        """Give the jobs as lines of JSON, as `import_jobs` takes them."""
        query = [("state", state.value) for state in states]
        async with self._ask("GET", "/jobs/export", params=query) as response:
            async for part in response.content.iter_chunked(CHUNK):
                yield part

    async def import_jobs(self, lines: bytes) -> Mapping[str, int]:
        """Take in exported jobs; return how many became `history`, were `queued`, were there already (`skipped`)."""
        async with self._ask("POST", "/jobs/import", data=lines, headers={"Content-Type": NDJSON}) as response:
            counts: Mapping[str, int] = await response.json()
            return counts

    async def upload(self, file: Path, name: str | None = None) -> str:
        """Put a picture or text among the server's inputs; return the name by which workflows load it."""
        with file.open("rb") as stream:
            headers = {"Content-Type": "application/octet-stream"}
            query = [("name", name or file.name)]
            async with self._ask("POST", "/files", params=query, data=stream, headers=headers) as response:
                return str((await response.json())["name"])

    async def download(self, output: Output, folder: Path) -> Path:
        """Fetch an output into a folder, whole or not at all, under its own name; a file of that name is replaced."""
        target = folder.joinpath(*_safe_parts(output.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            async with self._ask("GET", f"/outputs/{_part(output.id)}") as response:
                with part.open("wb") as file:
                    async for data in response.content.iter_chunked(CHUNK):
                        file.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    async def wait(self, id: str, *, until: Stop = ENDED, on_update: Callable[[Update], None] | None = None) -> Job:
        """Return a job when it has come to one of the states `until`; tell `on_update` what happens meanwhile."""
        # Nobody asks how a job is that was told to begin: it may have ended, and what it did meanwhile is told next.
        goes_on = {f"job.{state.value}" for state in (State.QUEUED, State.RUNNING) if state not in until}
        async with aclosing(self.follow(id)) as updates:
            async for update in updates:
                if on_update is not None:
                    on_update(update)
                tells = update.type in ("hello", "snapshot") or update.type.startswith("job.")
                if tells and update.type not in goes_on:
                    job = await self.job(id)
                    if job.state in until or job.state.final:
                        return job
        raise ClientError(0, "gone", f"the server tells no more of job {id}")

    async def follow(self, job: str | None = None) -> AsyncGenerator[Update, None]:
        """Give what happens, to one job or to all, until the caller stops; reconnects, and misses nothing.

        After each connection a `hello` comes; where the server cannot tell what was missed, a `snapshot` too.
        """
        since, tries, lost = "", 0, 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._stream(job, since) as stream:
                    async for message in stream:
                        if message.type != aiohttp.WSMsgType.TEXT:
                            continue
                        tries, told = 0, json.loads(message.data)
                        epoch = told.get("epoch", since.partition(":")[0])
                        for update in Update.all_of(told):
                            since = f"{epoch}:{update.seq}"
                            yield update
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._give_up(error, tries, loop.time() - lost)
            lost = loop.time() if tries == 0 else lost
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def _give_up(self, error: Exception, tries: int, seconds: float) -> None:
        """Raise where the server refuses, or does not answer for too long."""
        status = getattr(error, "status", 0)
        refused = isinstance(error, aiohttp.WSServerHandshakeError) and 400 <= status < 500
        if refused or (tries and seconds > self.patience):
            raise ClientError(status, "no_events", f"{self.url} tells of no events: {_said(error)}") from error

    @asynccontextmanager
    async def _stream(self, job: str | None, since: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        query = [*([("job", job)] if job else []), *([("since", since)] if since else [])]
        url = f"{self.url}{API}/events"
        async with self._open.ws_connect(url, params=query, heartbeat=20.0, max_msg_size=LONGEST_MESSAGE) as stream:
            yield stream

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("a Client is used as `async with Client(...) as client`")
        return self._session

    async def _json(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        query: list[tuple[str, str]] | None = None,
        again: bool = False,
    ) -> Json:
        """Ask and return the answer's JSON; `again`: what was sent may be sent once more if the connection breaks."""
        started, tries = asyncio.get_running_loop().time(), 0
        while True:
            try:
                async with self._ask(method, path, params=query, json=body) as response:
                    text = await response.text()
                    return json.loads(text) if text else None
            except ClientError as error:
                waited = asyncio.get_running_loop().time() - started
                if (
                    error.status
                    or not (again or method == "GET")
                    or waited > self.patience
                    or not tries < len(PAUSES) * 4
                ):
                    raise
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    @asynccontextmanager
    async def _ask(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask; raise `ClientError` where the server refuses (its status) or cannot be reached (status 0)."""
        try:
            async with self._open.request(
                method, f"{self.url}{API}{path}", allow_redirects=False, **options
            ) as response:
                if response.status >= 300:
                    raise error_of(response.status, await response.text())
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClientError(0, "unreachable", f"the server at {self.url} does not answer: {_said(error)}") from error


def _part(id: str) -> str:
    return quote(id, safe="")


def _safe_parts(name: str) -> list[str]:
    """Return the parts of a name that a server gave, without any that leads elsewhere."""
    parts = [re.sub(r"[\x00-\x1f:]", "_", part) for part in re.split(r"[/\\]", name)]
    return [part for part in parts if part not in ("", ".", "..")] or ["output"]


def _said(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:  # its own text has `ssl:default` for http too
        return (os.strerror(error.errno) if error.errno > 0 else str(error.strerror)).lower()
    return str(error) or type(error).__name__
