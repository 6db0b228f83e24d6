"""Whose turn it is, when many submit at once, and when the clock is set back."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.harness import Server, Start, sleep

CLOCK = """
import os, time

_time = time.time

def _shifted():
    try:
        with open(os.environ["SHIFT"]) as file:
            return _time() + float(file.read() or 0)
    except OSError:
        return _time()

time.time = _shifted
"""
"""Runs first in each process, as `sitecustomize`: the clock shows what a file says beside the true time."""
HOUR = 3600.0


def test_a_clock_that_is_set_back_changes_no_order(start: Start, tmp_path: Path) -> None:
    """Row 18 of the fault matrix: back by an hour as for winter, by a day before a restart, and on by a year."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CLOCK)
    shift = tmp_path / "shift"
    shift.write_text("0")
    path = os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))
    server = start(PYTHONPATH=path, SHIFT=str(shift))
    running = server.submit(sleep(2, 0))
    server.running(running)
    ids = [running, server.submit(sleep(0.01, 1))]
    shift.write_text(str(-HOUR))
    ids += [server.submit(sleep(0.01, number)) for number in (2, 3)]
    assert server.ended(running)["seconds"] == pytest.approx(2, abs=1)
    server.ask("POST", "/queue/pause", {})
    ids += [server.submit(sleep(0.01, number)) for number in (4, 5)]
    server.kill()
    shift.write_text(str(-24 * HOUR))
    again = start(PYTHONPATH=path, SHIFT=str(shift), TZ="Europe/Berlin")
    ids += [again.submit(sleep(0.01, number)) for number in (6, 7)]
    again.ask("POST", "/queue/resume", {})
    again.idle()
    shift.write_text(str(365 * 24 * HOUR))
    ids.append(again.submit(sleep(0.01, 8)))
    again.idle()
    jobs = again.jobs()
    assert [job["id"] for job in jobs] == ids
    assert [job["state"] for job in jobs] == ["done"] * 9
    assert jobs[0]["created"] > jobs[2]["created"] > jobs[6]["created"]  # the clock was seen to go back
    assert [job["id"] for job in jobs if job["ended"] < job["started"]] == []
    order = [job["id"] for job in sorted(jobs[4:8], key=lambda job: job["started"])]
    assert order == ids[4:8]
    pages = [again.ask("GET", "/jobs?limit=4")]
    while pages[-1].get("cursor"):
        pages.append(again.ask("GET", f"/jobs?limit=4&cursor={pages[-1]['cursor']}"))
    assert [job["id"] for page in pages for job in page["items"]] == ids[::-1]


async def submit_all(server: Server, tokens: Sequence[str], each: int) -> dict[tuple[str, str], list[str]]:
    """Let four clients of each user submit at once, each one job after the other; return the ids by user and client."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)

    async def client(session: aiohttp.ClientSession, name: str) -> None:
        for number in range(each):
            async with session.post(f"{server.url}/api/v1/jobs", json={**sleep(0, number), "client": name}) as response:
                told: dict[str, Any] = await response.json()
                assert response.status == 201, told
                found[told["user"], name].append(told["id"])

    sessions = [aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) for token in tokens]
    try:
        await asyncio.gather(*(client(session, f"client{at}") for session in sessions for at in range(4)))
    finally:
        for session in sessions:
            await session.close()
    return found


def take_turns(start: Start, each: int) -> None:
    """Let eight clients of two users submit `each` jobs; see that all are there once and run in fair turns."""
    server = start()
    server.ask("POST", "/queue/pause", {})
    token = server.ask("POST", "/users", {"name": "other"})["token"]
    found = asyncio.run(submit_all(server, (server.token, token), each))
    ids = [id for those in found.values() for id in those]
    assert len(found) == 8
    assert len(set(ids)) == 8 * each
    server.ask("POST", "/queue/resume", {})
    server.idle(60 + each)
    jobs = server.jobs("limit=500&user=*")
    assert sorted(job["id"] for job in jobs) == sorted(ids)
    assert {job["state"] for job in jobs} == {"done"}
    begun = sorted(jobs, key=lambda job: job["started"])
    ran: dict[tuple[str, str], list[str]] = defaultdict(list)
    for count, job in enumerate(begun, 1):
        ran[job["user"], job["client"]].append(job["id"])
        most = max(len(those) for those in ran.values())
        least = min(len(ran[who]) for who in found)
        assert most - least <= 1, (count, {who: len(those) for who, those in ran.items()})
    assert ran == found  # a client's own run in the order in which it submitted them


def test_eight_clients_at_once_get_all_their_jobs_run_in_fair_turns(start: Start) -> None:
    """Row 24 of the fault matrix, short."""
    take_turns(start, 20)


@pytest.mark.soak
def test_eight_clients_of_a_thousand_jobs_each_get_all_run_in_fair_turns(start: Start) -> None:
    take_turns(start, 1000)
