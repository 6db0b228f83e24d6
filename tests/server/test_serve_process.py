"""`nodegraph serve` as a process: how it starts, what it tells, how it stops, who it refuses to start for."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers as processes of their own; what is left of them is killed with the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: str, data: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nodegraph", "serve", "--data", str(data or tmp_path / "data"), *options]
        command += ["--devices", "cpu", "--no-preload"] + ([] if "--port" in options else ["--port", "0"])
        log = (tmp_path / f"log{len(processes)}").open("w")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **environment}, cwd=tmp_path
        )
        log.close()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def url(process: subprocess.Popen[str]) -> str:
    """Wait for a server to tell where it is."""
    assert process.stdout is not None
    told = re.fullmatch(r"nodegraph serves at (http://\S+)\n", process.stdout.readline())
    assert told
    return told[1]


def get(address: str, **headers: str) -> tuple[int, str]:
    """Ask for an address; return status and text."""
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def told(data: Path) -> dict[str, Any]:
    """Return what the server told commands on this machine."""
    found: dict[str, Any] = json.loads((data / "server.json").read_text())
    return found


def test_a_server_tells_where_it_is_and_stops_when_it_is_told_to(start: Start, tmp_path: Path) -> None:
    process = start()
    address = url(process)
    assert get(f"{address}/healthz") == (200, '{"status": "ok"}')
    file = tmp_path / "data" / "server.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = told(tmp_path / "data")
    assert (found["url"], found["pid"]) == (address, process.pid)
    assert get(f"{address}/api/v1/me", Authorization=f"Bearer {found['token']}")[0] == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(12) == 0
    assert not file.exists()


def test_the_link_works_and_neither_it_nor_the_token_is_logged(start: Start, tmp_path: Path) -> None:
    process = start("--log", "json")
    address = url(process)
    assert process.stdout is not None
    link = process.stdout.readline().split()[-1]
    assert link.startswith(f"{address}/login?code=")
    assert get(link)[0] == 200
    token = told(tmp_path / "data")["token"]
    get(f"{address}/api/v1/me?token={token}")
    process.send_signal(signal.SIGINT)
    assert process.wait(12) == 0
    lines = (tmp_path / "log0").read_text()
    assert token not in lines
    assert link.partition("=")[2] not in lines
    paths = [entry["path"] for entry in map(json.loads, lines.splitlines()) if "path" in entry]
    assert {"/login", "/", "/api/v1/me"} <= set(paths)


def test_the_front_process_is_light(start: Start) -> None:
    process = start()
    address = url(process)
    clock = os.sysconf("SC_CLK_TCK")
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(fields[11]) + int(fields[12])) / clock < 1.5  # of CPU time, as others may use the machine too
    get(f"{address}/")
    time.sleep(2)
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert resident
    assert int(resident[1]) < 120 * 1024
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "_sqlite3" in maps
    assert [name for name in ("libtorch", "numpy", "_imaging", "tokenizers") if name in maps] == []


def test_the_log_tells_of_each_broken_plugin_in_one_line(start: Start, tmp_path: Path) -> None:
    url(start())
    log, end = tmp_path / "log0", time.monotonic() + 20
    while "nodegraph_broken.typo" not in log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    text = log.read_text()
    left_out = re.findall(r" WARNING the plugin (nodegraph_broken\.\w+) is left out: \S", text)
    assert len(left_out) == len(set(left_out)) >= 10
    assert "Traceback" not in text


def test_a_port_in_use_is_told_with_the_next_step(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        assert process.wait(20) == 2
    text = (tmp_path / "log0").read_text()
    assert f"127.0.0.1:{port}" in text
    assert f"--port {port + 1}" in text
    assert "Traceback" not in text
    assert not (tmp_path / "data" / "nodegraph.db").exists()


def test_a_second_server_on_the_same_data_is_refused(start: Start, tmp_path: Path) -> None:
    first = start()
    address = url(first)
    second = start()
    assert second.wait(20) == 2
    text = (tmp_path / "log1").read_text()
    assert f"process {first.pid}" in text
    assert "Traceback" not in text
    assert get(f"{address}/healthz")[0] == 200
    assert told(tmp_path / "data")["url"] == address


def test_after_a_kill_the_next_server_starts(start: Start, tmp_path: Path) -> None:
    first = start()
    url(first)
    first.kill()
    first.wait()
    second = start()
    address = url(second)
    assert told(tmp_path / "data")["url"] == address


def test_nobody_is_let_in_from_elsewhere_without_a_token(start: Start, tmp_path: Path) -> None:
    process = start("--host", "0.0.0.0", "--no-token")
    assert process.wait(20) == 2
    assert "--no-token" in (tmp_path / "log0").read_text()
    assert not (tmp_path / "data").exists()


def test_listening_for_others_is_warned_of(start: Start) -> None:
    process = start("--host", "0.0.0.0")
    address = url(process)
    assert process.stdout is not None
    assert "/login?code=" in process.stdout.readline()
    assert process.stdout.readline().startswith("Warning: ")
    assert get(f"{address}/api/v1/me")[0] == 401


def test_the_token_may_come_from_the_environment(start: Start, tmp_path: Path) -> None:
    process = start(NODEGRAPH_TOKEN="a-token-that-is-long-enough")
    address = url(process)
    assert get(f"{address}/api/v1/me", Authorization="Bearer a-token-that-is-long-enough")[0] == 200
    short = start(data=tmp_path / "other", NODEGRAPH_TOKEN="short")
    assert short.wait(20) == 2
    assert "NODEGRAPH_TOKEN" in (tmp_path / "log1").read_text()


def test_contradictory_options_are_refused(start: Start, tmp_path: Path) -> None:
    assert start("--offline", "--webhooks", "example.org").wait(20) == 2
    assert "--webhooks" in (tmp_path / "log0").read_text()


def test_children_end_with_a_front_that_was_killed(start: Start) -> None:
    process = start()
    url(process)
    until = time.monotonic() + 20
    while not (children := children_of(process.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    assert children
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while any(alive(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in children if alive(pid)] == []


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for word in text.split()]


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
