"""A worker process, kept alive: started, watched, started again when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from nodegraph.server.children import Child, ChildGone, Exit, configuration
from nodegraph.server.live import Device
from nodegraph.server.protocol import Header
from nodegraph.server.settings import Settings

log = logging.getLogger(__name__)
START_SECONDS = 180.0
IMPORT_SECONDS = 20.0
FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
"""Seconds between an end that nobody wished and the next start; doubled each time."""
STABLE_SECONDS = 60.0
"""A process that ran for so long was no failure."""
DEAD_AFTER = 5


class Worker:
    """One worker of a device. `on_change` is called when its state is another, `on_tell` with what it tells."""

    def __init__(
        self,
        settings: Settings,
        device: str | None,
        *,
        number: int = 1,
        count: int = 1,
        skip: Callable[[], Mapping[str, str]] = dict,
        on_change: Callable[[Worker], None],
        on_tell: Callable[[Worker, Header, bytes], None],
    ) -> None:
        self._settings, self._count, self._skip = settings, count, skip
        self._on_change, self._on_tell = on_change, on_tell
        self._asked, self.device, self._number = device, device or "auto", number
        self.child: Child | None = None
        """Its process, while it can take jobs."""
        self.ready: Header = {}
        """What the process told when it was ready last."""
        self.memory, self.restarts, self.reason, self.paused = 0, 0, "", ""
        self.job: str | None = None
        self._failures = 0
        self._ending = self._wished = self._known = self._warm = False
        self._state, self._since = "starting", time.time()
        self._task: asyncio.Task[None] | None = None
        self._process: Child | None = None
        self._broken = ""
        self._hanging: dict[str, str] = {}
        self._import: asyncio.TimerHandle | None = None

    @property
    def id(self) -> str:
        """Return the name that users know it by."""
        return self.device if self._number == 1 else f"{self.device}#{self._number}"

    @property
    def free(self) -> bool:
        """Tell whether it can take a job."""
        return self.child is not None and self.child.alive and self.job is None and not self.paused

    @property
    def view(self) -> Device:
        """Return what it is at."""
        state = self._state
        if state == "ready":
            state = "busy" if self.job else "paused" if self.paused else "idle"
        return Device(
            id=self.id,
            device=self.device,
            state=state,
            job=self.job,
            pid=None if self._process is None or not self._process.alive else self._process.pid,
            memory=self.memory,
            since=self._since,
            restarts=self.restarts,
            reason=self.paused or self.reason,
        )

    def start(self) -> None:
        """Start the process, in the background, and keep it alive from now on."""
        self._task = asyncio.create_task(self._live(), name=f"worker {self.id}")

    async def stop(self, grace: float) -> None:
        """End the process within `grace` seconds, for good."""
        self._ending = True
        if self._process is not None and self._process.alive:
            await self._process.stop(grace)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def kill(self) -> None:
        """End the process at once, as is wished; another one is started without delay."""
        self._wished = True
        if self._process is not None:
            self._process.kill()

    def take(self, job: str | None) -> None:
        """Note the job that it runs, or that it runs none."""
        self.job = job
        if job is None and self.child is not None and self.child.alive:
            self._failures = 0
        self.changed()

    def changed(self) -> None:
        """Tell that its state is another."""
        self._since = time.time()
        self._on_change(self)

    async def _live(self) -> None:
        while not self._ending:
            self._wished, self._broken = False, ""
            began = time.monotonic()
            end = await self._once()
            self.child = None
            self._imports(None)
            if self._ending:
                return
            self.memory, self.restarts = 0, self.restarts + 1
            self.reason = f"the worker cannot begin: {self._broken}" if self._broken else f"the worker {end.words}"
            if self._wished:
                self._set("restarting")
                continue
            log.warning("%s (%s)", self.reason, self.id)
            self._failures = 1 if time.monotonic() - began > STABLE_SECONDS else self._failures + 1
            self._set("dead" if self._failures >= DEAD_AFTER else "restarting")
            await asyncio.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._failures - 1)))

    async def _once(self) -> Exit:
        """Run one process to its end."""
        config = configuration(self._settings, device=self._asked, workers=self._count, skip=self._left_out())
        self._known = self._warm = False
        child = self._process = Child("worker", config, name=f"worker {self.id}", on_tell=self._told)
        try:
            self.ready = await child.start(START_SECONDS)
        except ChildGone:
            return await asyncio.shield(child.exit)
        except TimeoutError:
            return Exit(None, None, f"was not ready within {START_SECONDS:g} seconds")
        except asyncio.CancelledError:
            child.kill()
            raise
        self.device = str(self.ready.get("device") or self.device)
        self._known = True
        self.changed()
        self._open()
        return await asyncio.shield(child.exit)

    def _told(self, header: Header, payload: bytes) -> None:
        kind = header.get("tell")
        if kind == "heartbeat":
            self.memory = int(header.get("memory") or 0)
        elif kind == "importing":
            self._imports(header.get("plugin"))
        elif kind == "warm":
            self._warm = True
            self._open()
        elif kind == "broken":
            self._broken = str(header.get("reason"))
        else:
            self._on_tell(self, header, payload)

    def _open(self) -> None:
        """Let it take jobs when its device is known and its plugins are loaded: no job is to blame for those."""
        if self._known and self._warm:
            self.child = self._process
            self._set("ready")

    def _left_out(self) -> dict[str, str]:
        return {**self._skip(), **self._hanging}

    def _imports(self, plugin: str | None) -> None:
        """Watch the import of a plugin, None when it is over: one that hangs is left out by the next process."""
        if self._import is not None:
            self._import.cancel()
        self._import = None
        if plugin is not None:
            self._import = asyncio.get_running_loop().call_later(IMPORT_SECONDS, self._hangs, plugin)

    def _hangs(self, plugin: str) -> None:
        self._hanging[plugin] = f"importing it took longer than {IMPORT_SECONDS:g} s"
        log.warning("the plugin %s is left out: %s", plugin, self._hanging[plugin])
        self.kill()

    def _set(self, state: str) -> None:
        self._state = state
        self.changed()
