"""Servers that are killed: what was accepted is there at the next start."""

from __future__ import annotations

from tests.faults.harness import Start, sleep


def test_a_hundred_queued_jobs_survive_a_kill_in_their_order(start: Start) -> None:
    """Row 1 of the fault matrix."""
    server = start()
    server.ask("POST", "/queue/pause", {})
    ids = [server.submit(sleep(0, number), priority=number % 3) for number in range(100)]
    before = server.jobs()
    places = {id: server.job(id)["place"] for id in ids}
    server.kill()
    again = start()
    assert [job["id"] for job in again.jobs()] == ids
    assert again.jobs() == before
    assert {id: again.job(id)["place"] for id in ids} == places
    again.ask("POST", "/queue/resume", {})
    again.idle()
    ended = sorted(again.jobs(), key=lambda job: job["started"])
    assert {job["state"] for job in ended} == {"done"}
    assert [job["id"] for job in ended] == sorted(ids, key=lambda id: places[id])
