"""Servers that are told to stop, once or twice, and a second one on the same folder."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.faults.harness import Start, alive, save, sleep, until
from tests.faults.invariants import Wanted, check, pictures


def test_an_interrupt_lets_the_running_job_end_and_keeps_the_others(start: Start) -> None:
    """Row 3 of the fault matrix; SIGTERM, and a longer job that is queued again, are tested with the server."""
    server = start()
    first = server.submit({**save("first", count=10, seconds=0.1), "key": "first"})
    others = [server.submit(pictures(f"job{number}", 2)) for number in range(5)]
    server.running(first)
    workers = server.workers()
    began = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(12) == 0
    assert time.monotonic() - began < 10
    assert not (server.data / "server.json").exists()
    assert [pid for pid in workers if alive(pid)] == []
    again = start()
    assert again.job(first)["state"] == "done"
    assert again.job(first)["attempts"] == 1
    again.idle()
    assert [again.job(id)["attempts"] for id in others] == [1] * 5
    assert again.stop() == 0
    check(again.data, {"first": Wanted(10), **{f"job{number}": Wanted(2) for number in range(5)}})


def test_a_second_signal_ends_at_once_and_leaves_all_whole(start: Start) -> None:
    """Row 4 of the fault matrix."""
    server = start()
    ids = {key: server.submit({**save(key, count=60, seconds=0.2), "key": key}) for key in ("one", "two")}
    server.running(ids["one"])
    server.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in server.text(), 10, "the first signal is heard")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 130
    assert time.monotonic() - began < 2
    again = start()
    assert again.running(ids["one"])["attempts"] == 2
    for id in ids.values():
        again.ask("POST", f"/jobs/{id}/cancel")
    again.idle()
    assert again.stop() == 0
    check(again.data, {key: Wanted(0, frozenset({"cancelled"})) for key in ids})


def test_a_second_server_is_refused_while_the_first_works_on(start: Start, tmp_path: Path) -> None:
    """Row 16 of the fault matrix, under work; a folder reached by another name is the same folder."""
    first = start()
    id = first.submit(sleep(3))
    first.running(id)
    (tmp_path / "alias").symlink_to(first.data)
    for data in (first.data, tmp_path / "alias"):
        second = start(data=data, wait=False)
        assert second.process.wait(20) == 2
        assert f"process {first.pid}" in second.text()
        assert "Traceback" not in second.text()
    assert first.ended(id)["attempts"] == 1
    first.kill()
    assert start(data=tmp_path / "alias").job(id)["state"] == "done"
