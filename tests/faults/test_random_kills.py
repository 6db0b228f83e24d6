"""Row 2 of the fault matrix: servers killed at random moments while they run fifty jobs, round after round."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.faults.harness import GONE, Server, Start
from tests.faults.invariants import Wanted, check, pictures

JOBS: Final = 50
LONGEST: Final = 4.0
"""Seconds from the start of a round, or of a server, within which the kill comes: about what it takes."""
ROUNDS_A_FOLDER: Final = 10
log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What was seen."""

    rounds: int = 0
    front: int = 0
    """Kills of the front process, its children with it."""
    starting: int = 0
    """Those of them that came before it answered."""
    worker: int = 0
    """Kills of a worker alone."""
    again: int = 0
    """Jobs that ran when something died, and were run again or given up."""
    states: Counter[str] = field(default_factory=Counter)


class Rounds:
    """Rounds on one folder after the other, each of which ends with all its jobs ended and looked at."""

    def __init__(self, start: Start, folder: Path, seed: int) -> None:
        self._start, self._folder, self._chance = start, folder, random.Random(seed)
        self.tally = Tally()
        self._wanted: dict[str, Wanted] = {}
        self._server: Server | None = None

    def run(self, rounds: int) -> None:
        """Go through the rounds."""
        for number in range(rounds):
            if number % ROUNDS_A_FOLDER == 0:
                self._renew()
            self._round(number)
            self.tally.rounds += 1
            if self.tally.rounds % 10 == 0:
                log.info("%s", self.tally)
        self._renew()

    def _renew(self) -> None:
        """Stop the server, look at what it leaves, and forget it."""
        if self._server is not None:
            assert self._server.stop() == 0
            self.tally.states += check(self._server.data, self._wanted)
            shutil.rmtree(self._server.data)
        self._server = None
        self._wanted.clear()

    def _round(self, number: int) -> None:
        """Have fifty jobs run by servers that are killed up to three times, then by one that is not."""
        keys = {f"{number}-{index}": self._chance.randint(0, 3) for index in range(JOBS)}
        kills = self._chance.choice((1, 1, 1, 2, 2, 3))
        for _ in range(kills):
            self._dying(keys)
        server = self._server or self._start("--workers", "2", data=self._folder / "data")
        drive(server, keys)
        self._server = server
        # A job is given up after two deaths while it ran; of those, each takes at most the two that run.
        states = frozenset({"done"} if kills == 1 else {"done", "failed"})
        self._wanted |= {key: Wanted(count, states) for key, count in keys.items()}
        check(server.data, self._wanted)
        ours = [job for job in server.jobs() if job["seq"] > JOBS * (number % ROUNDS_A_FOLDER)]
        assert {job["failure"]["code"] for job in ours if "failure" in job} <= {"crashed_twice"}
        assert sum(job["state"] == "failed" for job in ours) <= 2 * (kills // 2)
        self.tally.again += sum(job["attempts"] > 1 for job in ours)

    def _dying(self, keys: dict[str, int]) -> None:
        """Have the jobs run until the front process, or a worker, is killed, or they have ended before."""
        server = self._server or self._start("--workers", "2", data=self._folder / "data", wait=False)
        after = self._chance.uniform(0, LONGEST)
        if self._chance.random() < 0.2 and server.ready():
            with soon(after, lambda: self._kill_worker(server)):
                drive(server, keys)
            self._server = server
            return
        with soon(after, server.process.kill), suppress(*GONE):
            if not server.ready():
                self.tally.starting += 1
            else:
                drive(server, keys)
                server.process.wait(LONGEST)  # they have ended: it dies idle
        assert server.process.wait(LONGEST + 1) == -signal.SIGKILL, server.text()
        self.tally.front += 1
        self._server = None

    def _kill_worker(self, server: Server) -> None:
        pids = server.workers()
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(pids), signal.SIGKILL)
                self.tally.worker += 1


@contextmanager
def soon(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something after a while, within the block or at its end at the latest."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def drive(server: Server, keys: dict[str, int]) -> None:
    """Submit all jobs, those that were accepted before too, and wait for their ends."""
    for key, count in keys.items():
        server.submit(pictures(key, count, seconds=0.01))
    server.idle()


def go(start: Start, folder: Path, rounds: int, seed: int) -> Tally:
    """Go through the rounds; return what was seen."""
    began = time.monotonic()
    trial = Rounds(start, folder, seed)
    trial.run(rounds)
    log.info("%.0f s: %s", time.monotonic() - began, trial.tally)
    assert sum(trial.tally.states.values()) == rounds * JOBS
    return trial.tally


def test_a_few_kills_lose_and_double_nothing(start: Start, tmp_path: Path) -> None:
    tally = go(start, tmp_path, rounds=2, seed=6)
    assert tally.front


@pytest.mark.soak
def test_two_hundred_rounds_of_kills_lose_and_double_nothing(start: Start, tmp_path: Path) -> None:
    tally = go(start, tmp_path, rounds=200, seed=1)
    assert tally.front > 200
    assert min(tally.starting, tally.worker, tally.again) > 10
