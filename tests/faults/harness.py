"""Whole servers, `nodegraph serve` as a process, that are started, asked, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Json = Any
FINAL = frozenset({"done", "failed", "cancelled"})
GONE = (OSError, urllib.error.URLError, ValueError)
"""What a request raises whose server is killed: refused, reset, or with half an answer."""


class RefusedError(AssertionError):
    """The server answered with an error."""

    def __init__(self, status: int, document: Json) -> None:
        self.status, self.document = status, document
        self.code = document.get("error", {}).get("code", "") if isinstance(document, dict) else ""
        super().__init__(f"{status}: {document}")


def until(check: Callable[[], T], seconds: float, what: str) -> T:
    """Return what `check` gives as soon as that is true; fail when the time is up."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return found


@dataclass
class Server:
    """One process on a data folder. Everything it writes to its log is in the file `log`."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path
    url: str = ""
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self, seconds: float = 40.0) -> bool:
        """Wait until it answers; False where it ended before."""

        def told() -> dict[str, Any] | bool:
            try:
                found: dict[str, Any] = json.loads((self.data / "server.json").read_text())
            except (OSError, ValueError):
                found = {}
            return found if found.get("pid") == self.pid else self.process.poll() is not None

        found = until(told, seconds, "the server is ready")
        if not isinstance(found, dict):
            return False
        self.url, self.token = found["url"], found["token"]
        self.headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return True

    def text(self) -> str:
        """Return what it has logged and printed."""
        return self.log.read_text(errors="replace")

    def ask(self, method: str, path: str, body: Json = None, seconds: float = 60.0, **headers: str) -> Any:
        """Ask as the owner; return the answer's JSON, raise `RefusedError`, or one of `GONE` where it is killed."""
        content = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", content, {**self.headers, **named}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                document = json.loads(error.read() or b"null")
            raise RefusedError(error.code, document) from error
        return json.loads(text) if text else None

    def submit(self, work: Mapping[str, Json], **fields: Json) -> str:
        """Queue a job; return its id."""
        id: str = self.ask("POST", "/jobs", {**work, **fields})["id"]
        return id

    def job(self, id: str) -> dict[str, Any]:
        """Return all about a job."""
        found: dict[str, Any] = self.ask("GET", f"/jobs/{id}")
        return found

    def ended(self, id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a job has ended; return all about it."""
        found: dict[str, Any] = self.ask("GET", f"/jobs/{id}?wait={seconds:g}", seconds=seconds + 30)
        assert found["state"] in FINAL, f"{id} is {found['state']} after {seconds:g} s"
        return found

    def running(self, id: str, seconds: float = 40.0) -> dict[str, Any]:
        """Wait until a job's nodes run; return all about it."""

        def at_work() -> dict[str, Any] | None:
            found = self.job(id)
            assert found["state"] not in FINAL, found
            return found if any(node["state"] == "running" for node in found["node_states"]) else None

        return until(at_work, seconds, f"{id} runs") or {}

    def jobs(self, query: str = "limit=500") -> list[dict[str, Any]]:
        """Return the summaries of all jobs, in the order in which they were accepted."""
        return self._pages("/jobs", query)[::-1]

    def outputs(self, query: str = "limit=500") -> list[dict[str, Any]]:
        """Return all outputs."""
        return self._pages("/outputs", query)

    def idle(self, seconds: float = 120.0) -> None:
        """Wait until nothing is queued and nothing runs."""

        def nothing() -> bool:
            queue = self.ask("GET", "/queue")
            return not queue["queued"] and not queue["running"]

        until(nothing, seconds, "the queue is empty")

    def workers(self) -> list[int]:
        """Return the processes that run jobs."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        pids = [int(word) for path in tasks for word in path.read_text().split()]
        return [pid for pid in pids if b"\0worker\0" in _command(pid)]

    def kill(self) -> None:
        """Kill the front process, as the system does when there is no memory; its children end with it."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds: float = 20.0) -> int:
        """Stop it in the orderly way; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def _pages(self, path: str, query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.ask("GET", f"{path}?{query}{cursor}")
            items += page["items"]
            if not page.get("cursor"):
                return items
            cursor = f"&cursor={page['cursor']}"


class Start(Protocol):
    """Start a server on a folder; `wait` until it answers. `environment` is beside the test's own."""

    def __call__(self, *options: str, data: Path | None = None, wait: bool = True, **environment: str) -> Server: ...


class Servers:
    """The servers of a test, each with its log in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._all = folder, list[Server]()

    def start(self, *options: str, data: Path | None = None, wait: bool = True, **environment: str) -> Server:
        """Start one; see `Start`."""
        folder = data or self._folder / "data"
        command = [sys.executable, "-m", "nodegraph", "serve", "--data", str(folder), "--no-preload"]
        command += [] if "--devices" in options else ["--devices", "cpu"]
        command += [] if "--port" in options else ["--port", "0"]
        log = self._folder / f"server{len(self._all)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=self._folder,
            )
        server = Server(process, folder, log)
        self._all.append(server)
        if wait:
            assert server.ready(), server.text()
        return server

    def end(self) -> None:
        """Kill those that still run."""
        for server in self._all:
            server.kill()


def workflow(nodes: Mapping[str, Json], targets: Sequence[str] = (), **outputs: str) -> dict[str, Json]:
    """Return what is submitted for a workflow of these nodes; `outputs` are what it exposes, as `node.output`."""
    document: dict[str, Json] = {"format": 1, "nodes": dict(nodes)}
    if outputs:
        document["outputs"] = outputs
    return {"workflow": document, "targets": list(targets)}


def node(type: str, links: Mapping[str, str] | None = None, **params: Json) -> dict[str, Json]:
    """Return a node of the plugin of faults."""
    return {"type": f"faults.{type}", "params": params, "links": dict(links or {})}


def sleep(seconds: float, value: int = 0, steps: int = 20) -> dict[str, Json]:
    """Return a job that takes a while and gives the number."""
    return workflow({"sleep": node("Sleep", seconds=seconds, steps=steps, value=value)}, ["sleep"], out="sleep.out")


def save(text: str, count: int = 2, **params: Json) -> dict[str, Json]:
    """Return a job that writes `count` pictures; in each stands the text and its number."""
    return workflow({"save": node("Save", text=text, count=count, **params)}, ["save"])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
