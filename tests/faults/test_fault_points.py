"""Servers that die, or find the disk full, at each of their numbered points: nothing is lost, doubled or in parts."""

from __future__ import annotations

import itertools
import logging
import shutil
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.faults.harness import GONE, Json, RefusedError, Server, Start, until
from tests.faults.invariants import Wanted, check, pictures

COUNTS: Final = {"one": 1, "two": 2, "three": 3, "cancelled": 1}
FIRST_DEATH: Final = "publish.place.after@3:kill"
"""Between a file's coming to its place and the row's telling of it, within a node that has more files."""
FEW: Final = ("publish.place.after@2", "store.commit.after@12")
"""Where the short form looks: half of a node's files are in their places; a job is begun, and nobody knows it yet."""
Trial = Callable[[Start, Path, str], bool]
"""Lets a server fail at a point; returns whether the point was met."""
log = logging.getLogger(__name__)


def drive(server: Server, accepted: dict[str, str]) -> None:
    """Submit the jobs, cancel one and wait for the ends; what was accepted before is not accepted anew."""
    for key, count in COUNTS.items():
        id = insist(server, "/jobs", pictures(key, count))["id"]
        assert accepted.setdefault(key, id) == id
    insist(server, f"/jobs/{accepted['cancelled']}/cancel")
    server.idle(60)


def insist(server: Server, path: str, body: Json = None) -> Json:
    """Ask, again while the server says that the disk is full."""

    def answer() -> Json:
        try:
            return server.ask("POST", path, body)
        except RefusedError as error:
            if error.code != "disk_full":
                raise
            return None

    return until(answer, 30, f"{path} is done")


def wanted(*also: str) -> dict[str, Wanted]:
    """Return what must come of the jobs: all done, but for the one cancelled, or they are in one of these states."""
    states = {key: {"done", *also} | ({"cancelled"} if key == "cancelled" else set()) for key in COUNTS}
    return {key: Wanted(count, frozenset(states[key])) for key, count in COUNTS.items()}


def survive(start: Start, data: Path, fault: str, accepted: dict[str, str]) -> bool:
    """Run a server that a point kills; return whether it was met."""
    server = start(data=data, wait=False, NODEGRAPH_FAULT=fault)
    if server.ready():
        try:
            drive(server, accepted)
            return server.stop() != 0
        except GONE:
            pass
    assert server.process.wait(10) == -signal.SIGKILL, server.text()
    return True


def go_on(start: Start, data: Path, accepted: dict[str, str]) -> None:
    """Run a server that nothing happens to; it has what was accepted, and ends it."""
    server = start(data=data)
    assert set(accepted.values()) <= {job["id"] for job in server.jobs()}
    drive(server, accepted)
    assert server.stop() == 0, server.text()


def dies(start: Start, data: Path, point: str) -> bool:
    """Let a new server die."""
    accepted: dict[str, str] = {}
    met = survive(start, data, f"{point}:kill", accepted)
    go_on(start, data, accepted)
    check(data, wanted())
    return met


def dies_again(start: Start, data: Path, point: str) -> bool:
    """Let a server die that takes up what another left when it died."""
    accepted: dict[str, str] = {}
    assert survive(start, data, FIRST_DEATH, accepted)
    met = survive(start, data, f"{point}:kill", accepted)
    go_on(start, data, accepted)
    states = check(data, wanted("failed"))
    assert states["failed"] <= 1  # one ran each time, at most: there is one worker
    return met


def finds_no_room(start: Start, data: Path, point: str) -> bool:
    """Let the disk be full at one point: the server cannot start, or it says so and goes on when there is room."""
    accepted: dict[str, str] = {}
    server = start(data=data, wait=False, NODEGRAPH_FAULT=f"{point}:full")
    if not server.ready() or not lasts(server, accepted):
        own = [line for line in server.text().splitlines() if "the host process" not in line]
        assert "Traceback" not in "\n".join(own)
        go_on(start, data, accepted)
        check(data, wanted())
        return True
    failures = {job["failure"]["code"] for job in server.jobs() if "failure" in job}
    assert failures <= {"disk_full"}, failures
    assert server.stop() == 0
    check(data, wanted("failed"))
    return "the fault point" in server.text()


def lasts(server: Server, accepted: dict[str, str]) -> bool:
    """Drive a server; return False where it gives up as soon as it has started."""
    try:
        drive(server, accepted)
    except RefusedError as error:
        if error.code != "stopping":
            raise
    except GONE:
        pass
    else:
        return True
    assert server.process.wait(20) == 1, server.text()
    return False


def go_through(trial: Trial, start: Start, folder: Path, points: Iterable[str]) -> int:
    """Try a point after the other until one is not met; return how many were met."""
    for count, point in enumerate(points):
        data = folder / "data"
        if not trial(start, data, point):
            return count
        shutil.rmtree(data)
    return count + 1


@pytest.mark.parametrize(("trial", "points"), [(dies, FEW), (dies_again, FEW[:1]), (finds_no_room, FEW[:1])])
def test_a_few_points_leave_all_whole(trial: Trial, points: Sequence[str], start: Start, tmp_path: Path) -> None:
    assert go_through(trial, start, tmp_path, points) == len(points)


@pytest.mark.soak
@pytest.mark.parametrize("trial", [dies, dies_again, finds_no_room])
def test_any_point_leaves_all_whole(trial: Trial, start: Start, tmp_path: Path) -> None:
    points = go_through(trial, start, tmp_path, map(str, itertools.count(1)))
    log.info("%s: %d points were met, one by one", trial.__name__, points)
    assert points > 40
