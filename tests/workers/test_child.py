"""A child process as the front sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.children import Child, ChildError, ChildGone, configuration, how_it_ended
from nodegraph.server.protocol import HEAD
from nodegraph.server.settings import Settings


def nothing(header: object, payload: bytes) -> None:
    """Hear nothing."""


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
async def child(settings: Settings) -> Child:
    return Child("worker", configuration(settings), name="worker cpu", on_tell=nothing)


async def test_a_child_says_when_it_is_ready_and_stops_when_asked(child: Child) -> None:
    assert not child.alive
    with pytest.raises(ChildGone, match="has not been started"):
        await child.call("ping")
    ready = await child.start(60)
    assert (ready["device"], ready["devices"][0]["id"]) == ("cpu", "cpu")
    assert ready["versions"]["nodegraph"]
    assert child.alive
    assert await child.call("ping") == ({"job": None}, b"")
    end = await child.stop(5)
    assert (end.code, end.words) == (0, "ended with exit code 0")
    assert not child.alive
    with pytest.raises(ChildGone, match="worker cpu ended with exit code 0"):
        await child.call("ping")


async def test_a_call_that_the_child_refuses_raises_its_error(worker: Any) -> None:
    with pytest.raises(ChildError, match="no_such_thing") as caught:
        await worker.child.call("no_such_thing")
    assert caught.value.code == "unknown_method"


async def test_a_call_ends_after_its_time_and_the_child_goes_on(worker: Any) -> None:
    job = worker.job({"x": {"type": "faults.Stubborn", "params": {"seconds": 0.6}}})
    with pytest.raises(TimeoutError):
        await worker.child.call("run", *job, timeout=0.2)
    assert (await worker.run({"add": {"type": "faults.Add", "params": {"a": 1}}}))["state"] == "done"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("abort", "was killed by signal 6 (aborted)"),
        ("exit", "ended with exit code 3"),
        ("kill", "was killed by signal 9 (killed, perhaps for lack of memory)"),
    ],
)
async def test_an_end_is_told_in_words(worker: Any, how: str, words: str) -> None:
    with pytest.raises(ChildGone):
        await worker.run({"bad": {"type": "faults.Crash", "params": {"how": how}}})
    assert (await worker.child.exit).words == words


def test_signals_without_a_name_are_told_by_their_number() -> None:
    assert how_it_ended(-11).words == "was killed by signal 11 (segmentation fault)"
    assert how_it_ended(-64).words.startswith("was killed by signal 64")


async def test_the_last_lines_of_the_log_are_kept_and_are_bounded(worker: Any) -> None:
    await worker.run({"bad": {"type": "faults.Raise", "params": {"kind": "HugeRepr"}}})
    end = await worker.child.stop(5)
    assert 1 <= len(end.lines) <= 20
    assert max(map(len, end.lines)) <= 4096


async def test_a_deaf_child_is_killed_after_its_grace(worker: Any) -> None:
    running = asyncio.create_task(worker.run({"x": {"type": "faults.Deaf", "params": {"seconds": 30}}}))
    await worker.until(lambda: worker.events("running"))
    began = time.monotonic()
    end = await worker.child.stop(0.3)
    assert end.signal == signal.SIGKILL
    assert time.monotonic() - began < 3
    with pytest.raises(ChildGone):
        await running


async def test_the_loop_is_never_blocked_while_a_child_is_deaf(worker: Any) -> None:
    running = asyncio.create_task(worker.run({"x": {"type": "faults.Deaf", "params": {"seconds": 1.0}}}))
    await worker.until(lambda: worker.events("running"))
    longest, before = 0.0, time.monotonic()
    for _ in range(50):
        worker.child.tell("cancel", job="x" * 10_000)
        await asyncio.sleep(0.01)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    assert longest < 0.5
    await running


@pytest.mark.parametrize(
    "header", [b"no JSON", b"[" * 100_000, b'{"reply": []}', b'{"reply": 1, "error": {}}'], ids=lambda text: text[:20]
)
async def test_a_child_that_says_what_cannot_be_taken_in_is_killed(worker: Any, header: bytes) -> None:
    call = asyncio.create_task(worker.run({"x": {"type": "faults.Stubborn", "params": {"seconds": 30}}}))
    await worker.until(lambda: worker.events("running"))
    said = asyncio.StreamReader()
    said.feed_data(HEAD.pack(len(header), 0) + header)
    await worker.child._read_frames(said)
    with pytest.raises(ChildGone):
        await call
    assert (await worker.child.exit).signal == signal.SIGKILL


async def test_a_child_that_cannot_begin_says_so(settings: Settings) -> None:
    child = Child("worker", configuration(settings, device="cuda:7"), name="worker cuda:7", on_tell=nothing)
    with pytest.raises(ChildGone, match="ended with exit code 4"):
        await child.start(60)


async def test_a_start_that_takes_too_long_is_given_up(child: Child) -> None:
    with pytest.raises(TimeoutError):
        await child.start(0.01)
    assert (await child.exit).signal == signal.SIGKILL


PARENT = """
import asyncio, sys, time
from pathlib import Path
from nodegraph.server.children import Child, configuration
from nodegraph.server.settings import Settings

async def main():
    child = Child("worker", configuration(Settings(data=Path(sys.argv[1]), preload=False)), name="w", on_tell=print)
    await child.start(60)
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_does_not_outlive_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        while not line.strip().isdecimal():
            line = parent.stdout.readline()
        pid = int(line)
        assert alive(pid)
        os.kill(parent.pid, how)
    assert gone_within(pid, 5)


def test_a_child_whose_parent_is_gone_already_does_not_begin() -> None:
    command = [sys.executable, "-m", "nodegraph.workers", "worker", "1"]
    result = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, b"")


async def test_what_a_node_prints_is_no_frame(worker: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nodegraph.server.children")
    await worker.run({"say": {"type": "faults.Say", "params": {"text": "hello from a node"}}})
    await worker.until(lambda: "hello from a node" in caplog.text)


async def test_a_child_is_not_given_the_server_s_token(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_TOKEN", "the-owner-s-token")
    await child.start(60)
    environment = Path(f"/proc/{child.pid}/environ").read_bytes()
    await child.stop(5)
    assert b"the-owner-s-token" not in environment
    assert b"HF_HUB_OFFLINE=1" in environment


async def test_a_terminal_s_interrupt_does_not_reach_a_child(worker: Any) -> None:
    os.kill(worker.child.pid, signal.SIGINT)
    assert (await worker.run({"add": {"type": "faults.Add", "params": {"a": 1}}}))["state"] == "done"
    assert os.getpgid(worker.child.pid) != os.getpgid(0)


async def test_what_a_node_has_started_ends_with_the_child(worker: Any, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    await worker.run({"start": {"type": "faults.Start", "params": {"marker": str(marker)}}})
    pid = int(marker.read_text())
    assert alive(pid)
    worker.child.kill()
    await worker.child.exit
    assert gone_within(pid, 5)
