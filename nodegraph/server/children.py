"""A child process as the front sees it: calls with answers, what it tells, how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from nodegraph.engine.errors import NodegraphError
from nodegraph.server.protocol import HEAD, Header, ProtocolError, decode, encode, lengths
from nodegraph.server.settings import Settings

log = logging.getLogger(__name__)
OnTell = Callable[[Header, bytes], None]
Role = Literal["host", "worker"]
LONGEST_LINE: Final = 4096
"""Bytes of a line of a child's log that are kept."""
LAST_LINES: Final = 20
OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
}
PRIVATE: Final = frozenset({"NODEGRAPH_TOKEN", "NODEGRAPH_FAULT"})
"""Variables that children are not given."""
_SIGNALS: Final = {
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "aborted",
    "SIGKILL": "killed, perhaps for lack of memory",
    "SIGBUS": "bus error, perhaps a file that was cut while it was read",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction",
    "SIGTERM": "terminated",
}


class ChildError(NodegraphError):
    """A call that the child answered with an error."""

    def __init__(self, code: str, message: str, problems: tuple[Mapping[str, Any], ...] = ()) -> None:
        self.code, self.message, self.problems = code, message, problems
        super().__init__(message)


class ChildGone(NodegraphError):  # noqa: N818 - a state, not a fault of the caller
    """A call whose child has ended, or was never there."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended."""

    code: int | None
    signal: int | None
    words: str
    """Such as `was killed by signal 11 (segmentation fault)`."""
    lines: tuple[str, ...] = ()
    """The last that it wrote to its log; for the server's log, not for users."""


def how_it_ended(returncode: int, lines: tuple[str, ...] = ()) -> Exit:
    """Tell a process's end from its return code, which is below zero where a signal ended it."""
    if returncode >= 0:
        return Exit(returncode, None, f"ended with exit code {returncode}", lines)
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = ""
    what = f" ({_SIGNALS.get(name, name)})" if name else ""
    return Exit(None, -returncode, f"was killed by signal {-returncode}{what}", lines)


def configuration(
    settings: Settings,
    *,
    device: str | None = None,
    workers: int = 1,
    skip: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what a child is told of the settings: `device` for a worker, which shares the machine with `workers - 1`.

    `skip` names the plugins that shall not be imported, each with the reason.
    """
    folders = settings.folders
    return {
        "data": str(settings.data.absolute()),
        "folders": folders and {kind: [str(path) for path in paths] for kind, paths in folders.items()},
        "models": [str(path.absolute()) for path in settings.models],
        "input": [str(path.absolute()) for path in settings.input],
        "device": device,
        "dtype": settings.dtype,
        "memory": settings.memory,
        "network_memory": settings.network_memory,
        "compile": settings.compile,
        "disk": settings.disk,
        "metadata": settings.metadata,
        "strict": settings.strict,
        "preview": settings.preview,
        "plugins": settings.plugins,
        "skip": dict(skip or {}),
        "preload": settings.preload,
        "workers": workers,
        "nodes": settings.limits.nodes,
        "depth": settings.limits.depth,
    }


class Child:
    """A process of ours, spoken to in frames. All methods are for the event loop that started it; none blocks it.

    `on_tell` is called for each frame that the child sends by itself; what it raises is logged. `exit` is done when the
    process has ended.
    """

    def __init__(self, role: Role, config: Mapping[str, Any], *, name: str, on_tell: OnTell) -> None:
        self.role, self.config, self.name = role, dict(config), name
        self._on_tell = on_tell
        self._process: asyncio.subprocess.Process | None = None
        self._calls: dict[int, asyncio.Future[tuple[Any, bytes]]] = {}
        self._numbers = itertools.count(1)
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._watch: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Header] | None = None
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        """Return the process's id; None before it was started."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and not self.exit.done()

    async def start(self, timeout: float | None = 60.0) -> Header:
        """Start the process and return what it tells when it is ready.

        Raise `ChildGone` where it ends before that, `TimeoutError` (it is killed then) where it takes too long.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "nodegraph.workers", self.role, str(os.getpid()),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=_environment(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self.exit.set_result(Exit(None, None, f"could not be started: {error.strerror}"))
            raise ChildGone(f"{self.name} could not be started: {error.strerror}") from error
        self._watch = loop.create_task(self._attend(self._process), name=f"child {self.name}")
        self.tell("configure", **self.config)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._ready)
        except (TimeoutError, asyncio.CancelledError):
            self.kill()
            raise

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        payload: bytes = b"",
        *,
        timeout: float | None = None,
    ) -> tuple[Any, bytes]:
        """Ask the child and return its result and payload.

        Raise `ChildError` for an error that it answers, `ChildGone` where it ends first, `TimeoutError`.
        """
        if not self.alive:
            raise ChildGone(self._gone())
        number = next(self._numbers)
        answer: asyncio.Future[tuple[Any, bytes]] = asyncio.get_running_loop().create_future()
        self._calls[number] = answer
        try:
            self._write(encode({"call": number, "method": method, "params": dict(params or {})}, payload))
            async with asyncio.timeout(timeout):
                return await answer
        finally:
            self._calls.pop(number, None)

    def tell(self, kind: str, /, **fields: Any) -> None:
        """Inform the child; nothing happens where it has ended."""
        if self.alive:
            self._write(encode({**fields, "tell": kind}))

    async def stop(self, grace: float = 5.0) -> Exit:
        """End the process: ask it by closing its pipe, kill it after `grace` seconds; return how it ended."""
        if self._process is None:
            return Exit(None, None, "was not started")
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                return await asyncio.shield(self.exit)
        self.kill()
        return await asyncio.shield(self.exit)

    def kill(self) -> None:
        """End the process, and those that it has started, at once; `exit` tells when it is gone."""
        # Killed once only: asyncio looks before it kills, and what it finds dead then ends with a code made up.
        if self._process is not None and self.alive and not _kill_group(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _gone(self) -> str:
        words = self.exit.result().words if self.exit.done() else "has not been started"
        return f"{self.name} {words}"

    def _write(self, frame: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            with contextlib.suppress(ConnectionError):  # it has ended: `exit` tells
                process.stdin.write(frame)

    async def _attend(self, process: asyncio.subprocess.Process) -> None:
        """Take in what the process says until it ends, then tell whoever waits for it."""
        readers = []
        if process.stdout is not None and process.stderr is not None:
            readers = [self._read_frames(process.stdout), self._read_log(process.stderr)]
        tasks = [asyncio.create_task(reader) for reader in readers]
        try:
            code = await process.wait()
            # What it said last is still in the pipes; a grandchild that holds them open is not waited for.
            await asyncio.wait(tasks, timeout=1.0)
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        _kill_group(process.pid)  # whatever its nodes had started
        self._ended(how_it_ended(code, tuple(self._lines)))

    def _ended(self, end: Exit) -> None:
        if not self.exit.done():
            self.exit.set_result(end)
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(ChildGone(self._gone()))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ChildGone(self._gone()))
            self._ready.exception()  # looked at: whoever started it may have given up

    async def _read_frames(self, stream: asyncio.StreamReader) -> None:
        try:
            while True:
                header, payload = lengths(await stream.readexactly(HEAD.size))
                text = await stream.readexactly(header)
                body = await stream.readexactly(payload) if payload else b""
                self._received(decode(text), body)
        except asyncio.IncompleteReadError:
            return
        except ProtocolError as error:
            log.error("%s sent what is no frame, and is killed: %s", self.name, error)
            self.kill()
        except Exception:  # with nobody to read what it says, whoever has called it would wait for ever
            log.exception("%s sent what cannot be taken in, and is killed", self.name)
            self.kill()

    def _received(self, header: Header, payload: bytes) -> None:
        if "reply" in header:
            answer = self._calls.get(header["reply"])
            if answer is not None and not answer.done():
                _settle(answer, header, payload)
            return
        if header.get("tell") == "ready" and self._ready is not None and not self._ready.done():
            self._ready.set_result(header)
            return
        try:
            self._on_tell(header, payload)
        except Exception:
            log.exception("what %s told (%s) was not taken in", self.name, header.get("tell"))

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while data := await stream.read(2**16):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[:LONGEST_LINE]
            for line in lines:
                self._log(line)
        if rest:
            self._log(rest)

    def _log(self, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip()
        if text:
            self._lines.append(text)
            log.info("%s: %s", self.name, text)


def _kill_group(leader: int) -> bool:
    """Kill the processes of a child's session, its own among them; return whether there was such a group."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
            return True
    return False


def _environment() -> dict[str, str]:
    """Return a child's environment: nothing calls out, and what is the server's own to know is not in it."""
    return {name: value for name, value in {**os.environ, **OFFLINE}.items() if name not in PRIVATE}


def _settle(answer: asyncio.Future[tuple[Any, bytes]], header: Header, payload: bytes) -> None:
    error = header.get("error")
    if error is None:
        answer.set_result((header.get("result"), payload))
    else:
        answer.set_exception(ChildError(error["code"], error["message"], tuple(error.get("problems", ()))))
