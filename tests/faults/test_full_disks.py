"""No room on the disk: what does not fit fails in words, nothing is lost, all goes on by itself. Row 10."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import RefusedError, Server, Start, node, save, sleep, until, workflow
from tests.faults.invariants import left_in
from tests.faults.models import states

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are set on Linux")
ROOM = 160 * 2**20
"""Bytes of the small disk: more than what the server keeps free."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of its own, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount anything")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def reason(server: Server) -> str:
    return str(server.ask("GET", "/queue").get("reason", ""))


def fill(path: Path) -> None:
    """Write a file until there is no room left, to the last byte."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_a_disk_that_fills_up_under_a_job_fails_it_and_the_next_goes_on_when_there_is_room(
    start: Start, small: Path
) -> None:
    server = start(data=small / "data")
    work = {
        "work": node("Work", seconds=0.05, value=3),
        "save": node("Save", {"color": "work.out"}, count=200, seconds=0.05, text="first"),
    }
    first = server.submit(workflow(work, ["save"]))
    until(lambda: states(server.job(first)).get("save") == "running", 30, "it saves")
    fill(small / "filler")
    waiting = []
    with contextlib.suppress(RefusedError):  # what is not accepted is refused with 507, and is not there
        waiting.append(server.submit(save("second")))
    until(lambda: reason(server) == "disk full", 10, "the queue waits for room")
    assert server.ask("GET", "/queue")["queued"] == len(waiting)
    until(lambda: states(server.job(first)).get("save") != "running", 10, "its next file finds no room")
    assert left_in(server.data / "output") == []
    (small / "filler").unlink()
    until(lambda: reason(server) == "", 10, "the queue goes on")
    job = server.ended(first)
    assert (job["state"], job["failure"]["code"], job["failure"]["node"]) == ("failed", "disk_full", "save")
    assert "no room left on the disk" in job["failure"]["message"]
    assert str(small) not in job["failure"]["message"]
    waiting.append(server.submit(save("third")))
    assert [server.ended(id)["state"] for id in waiting] == ["done"] * len(waiting)
    assert len(left_in(server.data / "output")) == 2 * len(waiting)
    assert server.stop() == 0


def test_a_worker_that_may_not_write_fails_its_job_alone(start: Start) -> None:
    """A limit on the size of files stands for a disk without room where no disk can be mounted."""
    server = start()
    server.ended(server.submit(sleep(0.01)))
    (worker,) = server.workers()
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    job = server.ended(server.submit(save("first", size=64)))
    assert (job["failure"]["code"], job["failure"]["node"]) == ("disk_full", "save")
    assert left_in(server.data / "output") == []
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert server.ended(server.submit(save("second", size=64)))["state"] == "done"
    assert server.workers() == [worker]


def test_a_server_whose_store_and_log_find_no_room_refuses_keeps_all_and_goes_on(start: Start) -> None:
    server = start()
    running = server.submit(sleep(1.0))
    accepted = [running, *(server.submit(save(str(number))) for number in range(3))]
    server.running(running)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    with pytest.raises(RefusedError) as refused:
        server.submit(save("refused"))
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    until(lambda: reason(server) == "disk full", 10, "the queue waits for room")
    until(lambda: states(server.job(running)).get("sleep") == "finished", 10, "the job that runs comes to its end")
    assert server.job(running)["state"] == "running"
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [server.ended(id)["state"] for id in accepted] == ["done"] * 4
    assert [job["id"] for job in server.jobs()] == accepted
    assert len(left_in(server.data / "output")) == 6
    assert server.stop() == 0
