"""The host process as the front sees it: knows the plugins, checks workflows, looks at pictures and models."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nodegraph.server.checked import Catalogue, Checked, Inspected, InvalidWorkflow, Item, PluginAnswer, Refused
from nodegraph.server.children import Child, ChildError, ChildGone, configuration
from nodegraph.server.errors import ApiError
from nodegraph.server.protocol import Header
from nodegraph.server.records import Json
from nodegraph.server.settings import Limits, Settings

__all__ = ["Catalogue", "Checked", "Host", "Inspected", "InvalidWorkflow", "Item", "PluginAnswer", "Refused"]
log = logging.getLogger(__name__)
PATIENCE: Final = 20.0
"""Seconds that the import of one plugin may take."""
FRESH: Final = 2.0
"""Seconds for which the catalogue is not asked for again."""
WAIT: Final = 30.0
"""Seconds that a call waits for the host to be there."""
CALL: Final = 60.0
"""Seconds that a call may take before its process is started again."""
ITEM: Final = 0.05
"""Further seconds for each set of inputs that is checked."""
BACKOFF: Final = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Seconds to wait before the host is started again, by how often it has died of late."""


class Host:
    """Keeps a host process running; `on_change` is called when node types or plugins have changed."""

    def __init__(self, settings: Settings, on_change: Callable[[], None], *, patience: float = PATIENCE) -> None:
        self._settings, self._on_change, self._patience = settings, on_change, patience
        self._child: Child | None = None
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._catalogue = Catalogue("", {"nodes": {}, "plugins": []}, fresh=False)
        self._asked = 0.0
        self._importing: tuple[str, float] | None = None
        self.skipped: dict[str, str] = {}
        """Plugins that are not imported any more, each with the reason; workers leave them out too."""
        self._warned: dict[str, str] = {}
        self.restarts = 0
        self.call_seconds = CALL

    @property
    def ready(self) -> bool:
        """Tell whether the process is there and has loaded its plugins."""
        return self._up.is_set()

    @property
    def pid(self) -> int | None:
        """Return the process's id; None where there is none."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Read the catalogue of the last run and start the process in the background."""
        known = await asyncio.to_thread(_read_catalogue, self._file)
        self._catalogue = known or self._catalogue
        self._keeper = asyncio.create_task(self._keep(), name="host")

    async def stop(self, grace: float = 2.0) -> None:
        """End the process."""
        for task in (self._keeper, self._refreshing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._child is not None:
            await self._child.stop(grace)
        self._up.clear()

    async def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the process is there; return False where it takes longer than `timeout`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._up.wait()
        return self.ready

    def catalogue(self) -> Catalogue:
        """Return the node types as known now; what has changed since is asked for in the background."""
        due = time.monotonic() - self._asked > FRESH
        if self.ready and due and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh_quietly(), name="catalogue")
        return self._catalogue

    async def known(self) -> Catalogue:
        """Return the node types as known now; the very first run has to wait until something is."""
        found = self.catalogue()
        return found if found.document["nodes"] else await self.refresh()

    async def refresh(self) -> Catalogue:
        """Ask for the node types anew and return them."""
        self._asked = time.monotonic()
        etag = self._catalogue.etag if self._catalogue.fresh else ""
        result, data = await self._call("catalogue", {"etag": etag})
        if not result["same"]:
            document = json.loads(data)
            changed = result["etag"] != self._catalogue.etag
            self._catalogue = Catalogue(result["etag"], document, fresh=True)
            self._warn(document["plugins"])
            if changed:
                await asyncio.to_thread(_write_catalogue, self._file, data)
                self._on_change()
        return self._catalogue

    async def check(
        self,
        document: Json,
        inputs: Sequence[Mapping[str, Json]] = (),
        *,
        targets: Sequence[str] = (),
        input_folders: Sequence[Path] = (),
        wait: float = WAIT,
    ) -> Checked:
        """Check a workflow of any known format with each set of inputs (none: the file's own values).

        `wait` is how many seconds it waits for the process to be there; after that `ApiError` 503 is raised.
        Raise `InvalidWorkflow` where it cannot be read; what is wrong with an item stands in the item.
        """
        params = {
            "inputs": [dict(item) for item in inputs] or [{}],
            "targets": list(targets),
            "input": [str(folder) for folder in input_folders],
        }
        try:
            text = json.dumps(document).encode("utf-8", "surrogatepass")
            result, data = await self._call("check", params, text, wait=wait)
        except ChildError as error:
            if error.code == "invalid_workflow":
                raise InvalidWorkflow(error.problems) from error
            raise
        items = (Item(tuple(item["problems"]), item["signature"], item["exposed"]) for item in result["items"])
        return Checked(data, result["name"], result["nodes"], tuple(items), result["left_out"])

    async def read(self, document: Json) -> tuple[dict[str, Json], bytes]:
        """Return `format` and `problems` of a workflow of any known format, and its text in our own.

        Raise `InvalidWorkflow` where it is none.
        """
        text = json.dumps(document).encode("utf-8", "surrogatepass")
        try:
            return await self._call("read", None, text)
        except ChildError as error:
            raise InvalidWorkflow(error.problems) from error

    async def models(self) -> dict[str, list[str]]:
        """Return the names of the model files by kind."""
        result, _ = await self._call("models")
        return dict(result)

    async def model(self, kind: str, name: str) -> dict[str, Json]:
        """Describe a model file; raise `ApiError` 404 where there is none."""
        result, _ = await self._call("model", {"kind": kind, "name": name})
        return dict(result)

    async def inspect(self, path: Path, limits: Limits | None = None) -> Inspected:
        """Say what a picture is, having decoded all of it; raise `Refused` where it is none or too large a one.

        A file that goes on after its picture has ended (a picture and a page in one) is refused.
        """
        limits = limits or self._settings.limits
        params = {"path": str(path), "pixels": limits.pixels, "frames": limits.frames}
        result, _ = await self._look("inspect", params)
        return Inspected(**result)

    async def thumbnail(self, path: Path, size: int = 256) -> bytes:
        """Return a picture as WebP within a square of that size; raise `Refused` where it is none."""
        _, data = await self._look("thumbnail", {"path": str(path), "size": size})
        return data

    async def web_file(self, plugin: str, path: str) -> tuple[str, bytes]:
        """Return media type and bytes of a file that a plugin adds to the editor; raise `ApiError` 404 for no such."""
        result, data = await self._call("web", {"plugin": plugin, "path": path})
        return str(result["media"]), data

    async def plugin_route(
        self,
        plugin: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        media: str = "",
        user: str = "",
    ) -> PluginAnswer:
        """Have a plugin answer a request to a route of its own; raise `ApiError` 404 where it has none there."""
        params = {"plugin": plugin, "method": method, "path": path, "query": dict(query or {}), "media": media}
        result, data = await self._call("route", {**params, "user": user}, body)
        return PluginAnswer(result["status"], result["media"], data)

    async def _look(self, method: str, params: Mapping[str, Any]) -> tuple[Any, bytes]:
        """Have an untrusted file read; where that ends the process, it is the file that is refused."""
        try:
            return await self._call(method, params, gone=False)
        except ChildGone as error:  # twice
            log.warning("%s of %s ended the host: %s", method, params["path"], error)
            raise Refused("the picture cannot be read: whatever it holds ends its reader") from error
        except ChildError as error:
            if error.code == "refused":
                raise Refused(error.message) from error
            raise

    async def _call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        payload: bytes = b"",
        *,
        gone: bool = True,
        wait: float = WAIT,
    ) -> tuple[Any, bytes]:
        try:
            return await self._asked_twice(method, params, payload, wait)
        except ChildError as error:
            if error.code == "not_found":
                raise ApiError(404, "not_found", error.message, problems=error.problems) from error
            if error.code in ("invalid_workflow", "refused"):
                raise
            raise ApiError(500, error.code, error.message) from error
        except TimeoutError as error:
            message = f"this took longer than {self.call_seconds:.0f} s"
            raise ApiError(503, "too_slow", message, headers={"Retry-After": "5"}) from error
        except ChildGone as error:
            if not gone:
                raise
            raise _not_there() from error

    async def _asked_twice(
        self, method: str, params: Mapping[str, Any] | None, payload: bytes, wait: float
    ) -> tuple[Any, bytes]:
        """Call; where the process ends meanwhile, which another call may have brought about, ask the next one."""
        for last in (method == "route", True):  # a plugin's route may have done something
            if not await self.wait_ready(wait) or self._child is None:
                raise _not_there()
            child = self._child
            items = len((params or {}).get("inputs", ()))
            try:
                return await child.call(method, params, payload, timeout=self.call_seconds + items * ITEM)
            except TimeoutError:
                log.warning("the host process did not answer %s in time: it is started again", method)
                child.kill()  # a thread that hangs cannot be taken back otherwise
                self._lost(child)
                raise
            except ChildGone:
                self._lost(child)
                if last:
                    raise
        raise _not_there()

    def _lost(self, child: Child) -> None:
        """Have calls wait for the next process; the keeper learns a moment later that this one has ended."""
        if self._child is child:
            self._up.clear()

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except (ApiError, ChildError) as error:
            log.warning("the node types cannot be told: %s", error)

    async def _keep(self) -> None:
        """Keep a process running."""
        died = 0
        while True:
            began = time.monotonic()
            child = self._child = Child("host", self._config(), name="the host process", on_tell=self._told)
            try:
                await self._begin(child)
                self._up.set()
                self._refreshing = asyncio.create_task(self._refresh_quietly(), name="catalogue")
                end = await asyncio.shield(child.exit)
                log.warning("the host process %s; it is started again", end.words)
            except ChildGone as error:
                log.warning("%s; it is started again", error)
            except Exception:
                log.exception("the host process is started again after an error of the server's own")
                child.kill()
            finally:
                self._up.clear()
            self._blame(child)
            died = died + 1 if time.monotonic() - began < 60 else 1
            self.restarts += 1
            await asyncio.sleep(BACKOFF[min(died, len(BACKOFF)) - 1])

    async def _begin(self, child: Child) -> None:
        """Start the process; kill it where one plugin keeps it from getting on."""
        self._importing = None
        starting = asyncio.create_task(child.start(None))
        try:
            while not starting.done():
                await asyncio.wait([starting], timeout=0.2)
                if self._importing is not None and time.monotonic() - self._importing[1] > self._patience:
                    name = self._importing[0]
                    self.skipped[name] = f"importing it took longer than {self._patience:.0f} s"
                    log.warning("the plugin %s is left out: %s", name, self.skipped[name])
                    self._importing = None
                    child.kill()
            await starting
        finally:
            starting.cancel()

    def _blame(self, child: Child) -> None:
        """Leave out the plugin whose import ended the process."""
        if self._importing is not None and child.exit.done():
            name = self._importing[0]
            self.skipped[name] = f"importing it ended the process: it {child.exit.result().words}"
            log.warning("the plugin %s is left out: %s", name, self.skipped[name])
        self._importing = None

    def _told(self, header: Header, payload: bytes) -> None:
        if header.get("tell") == "importing":
            name = header.get("plugin")
            self._importing = None if name is None else (str(name), time.monotonic())

    def _warn(self, plugins: Sequence[Mapping[str, str]]) -> None:
        """Log which plugins are set aside, each once for a reason."""
        for plugin in plugins:
            name, reason = plugin["name"], plugin["reason"]
            known = self._warned.get(name) or self.skipped.get(name)
            if plugin["state"] == "quarantined" and reason != known:
                self._warned[name] = reason
                log.warning("the plugin %s is left out: %s", name, reason)

    def _config(self) -> dict[str, Any]:
        return configuration(self._settings, skip=self.skipped)

    @property
    def _file(self) -> Path:
        return self._settings.data / "catalogue.json"


def _not_there() -> ApiError:
    message = "the process that knows the node types is being started"
    return ApiError(503, "starting", message, headers={"Retry-After": "2"})


def _read_catalogue(file: Path) -> Catalogue | None:
    try:
        data = file.read_bytes()
        document = json.loads(data)
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), dict):
        return None
    return Catalogue(hashlib.sha256(data).hexdigest()[:32], document, fresh=False)


def _write_catalogue(file: Path, data: bytes) -> None:
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(file)
    except OSError as error:  # the next start is slower for it, nothing else
        log.warning("the catalogue of node types cannot be kept: %s", error.strerror)
