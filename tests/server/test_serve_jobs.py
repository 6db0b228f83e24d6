"""Jobs across stops of the server, and that nothing it does calls out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")
WATCH = """
import os, sys

def note(text):
    with open(os.environ["WATCHED"], "a") as file:
        file.write(f"{text}\\n")

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        note(f"{event} {arguments[1:] if event[7:] in ('connect', 'sendto') else arguments[:1]}")

note(f"process {next((word for word in sys.orig_argv if word in ('serve', 'host', 'worker')), sys.orig_argv)}")
sys.addaudithook(watch)
"""
"""Runs first in each process, as `sitecustomize`, and writes down what would call somebody."""


@contextmanager
def serving(data: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server with one worker; give the process and its address."""
    command = [sys.executable, "-m", "nodegraph", "serve", "--data", str(data), "--port", "0", "--devices", "cpu"]
    command.append("--no-preload")
    environment = {**os.environ, **environment}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            told = re.search(r"http://\S+", process.stdout.readline())
            assert told
            yield process, told[0]
        finally:
            process.kill()


def ask(data: Path, method: str, path: str, body: Any = None) -> Any:
    """Ask the server that has the folder, as its owner."""
    told = json.loads((data / "server.json").read_text())
    headers = {"Authorization": f"Bearer {told['token']}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{told['url']}/api/v1{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def sleep(seconds: float, number: int) -> dict[str, Any]:
    """Return a job that sleeps; `number` makes it another one than those before."""
    params = {"seconds": seconds, "steps": 20, "value": number}
    nodes = {"sleep": {"type": "faults.Sleep", "params": params}}
    return {"workflow": {"format": 1, "nodes": nodes, "outputs": {"out": "sleep.out"}}, "targets": ["sleep"]}


def running(data: Path, job: str) -> None:
    """Wait until a job runs."""
    until = time.monotonic() + 30
    while ask(data, "GET", f"/jobs/{job}")["state"] != "running":
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_a_job_that_runs_at_a_stop_is_run_by_the_next_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as (process, _):
        long = ask(data, "POST", "/jobs", sleep(30, 1))["id"]
        waiting = ask(data, "POST", "/jobs", sleep(0.1, 2))["id"]
        running(data, long)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert time.monotonic() - began < 11
    with serving(data) as (process, _):
        running(data, long)
        assert ask(data, "GET", f"/jobs/{long}")["attempts"] == 1
        ask(data, "POST", f"/jobs/{long}/cancel")
        assert ask(data, "GET", f"/jobs/{waiting}?wait=30")["state"] == "done"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_a_second_signal_ends_at_once_and_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as (process, _):
        job = ask(data, "POST", "/jobs", sleep(30, 3))["id"]
        running(data, job)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 130
        assert time.monotonic() - began < 2
        assert not (data / "server.json").exists()
    with serving(data) as (process, _):
        running(data, job)


def test_the_server_and_its_processes_call_nobody(tmp_path: Path) -> None:
    """Whatever would go out is heard of before it does: the watch runs in the front, the host and the worker."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched"
    watched.touch()
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    data = tmp_path / "data"
    with serving(data, PYTHONPATH=path, WATCHED=str(watched)) as (process, _):
        assert ask(data, "POST", "/jobs?wait=60", sleep(0.1, 4))["state"] == "done"
        assert ask(data, "GET", "/nodes")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    listening = "socket.getaddrinfo ('127.0.0.1',)"
    assert set(watched.read_text().splitlines()) == {"process serve", "process host", "process worker", listening}
