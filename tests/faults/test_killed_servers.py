"""Servers that are killed: what was accepted is there at the next start, and no file is half there."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.harness import GONE, RefusedError, Server, Start, sleep
from tests.faults.invariants import Wanted, check, left_in, pictures


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


def died(server: Server) -> None:
    """See that a server was killed by its fault point."""
    assert server.process.wait(40) == -signal.SIGKILL


def test_a_death_before_a_picture_gets_its_name_leaves_other_files_as_they_were(start: Start, tmp_path: Path) -> None:
    """Row 12 of the fault matrix: what was staged is swept, and written anew."""
    data = tmp_path / "data"
    mine = data / "output" / "set" / "pic_00001_.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    server = start(data=data, NODEGRAPH_FAULT="publish.place.before@2:kill")
    id = server.submit(pictures("job", 3))
    died(server)
    assert len(left_in(data / "staging")) == 3
    assert left_in(data / "output") == ["set/pic_00001_.png", "set/pic_00002_.png"]
    again = start(data=data)
    assert again.ended(id)["attempts"] == 2
    names = {output["name"] for output in again.outputs()}
    assert names == {f"set/pic_0000{number}_.png" for number in (2, 3, 4)}
    assert again.stop() == 0
    assert mine.read_bytes() == b"mine"
    mine.unlink()
    check(data, {"job": Wanted(3)})


def test_a_death_while_a_workflow_is_saved_leaves_the_old_or_the_new_one(start: Start) -> None:
    """Row 12 of the fault matrix."""
    server = start()
    versions = [{"format": 1, "nodes": {}, "view": {"note": {"text": text * 50_000}}} for text in ("old", "new")]
    server.headers["If-None-Match"] = "*"
    etag = server.ask("PUT", "/workflows/draft", versions[0])["etag"]
    assert server.stop() == 0
    numbers = iter(range(1, 20))
    while True:
        dying = start(NODEGRAPH_FAULT=f"files.replace.before@{next(numbers)}:kill")
        dying.headers["If-Match"] = f'"{etag}"'
        try:
            saved = dying.ask("PUT", "/workflows/draft", versions[1])
        except GONE:
            died(dying)
        else:
            break
        again = start()
        found = again.ask("GET", "/workflows/draft")
        assert found in versions
        etag = again.ask("GET", "/workflows")["items"][0]["etag"]
        assert again.stop() == 0
        assert [name for name in left_in(again.data / "workflows") if "part" in name] == []
    assert dying.ask("GET", "/workflows/draft") == versions[1]
    assert saved["revision"] > 1


def test_a_death_while_outputs_are_removed_leaves_them_removable(start: Start) -> None:
    server = start(NODEGRAPH_FAULT="publish.removed@1:kill")
    id = server.submit(pictures("job", 2))
    server.ended(id)
    with pytest.raises(GONE):
        server.ask("DELETE", f"/jobs/{id}?outputs=true")
    died(server)
    again = start()
    assert again.jobs() == []
    for output in again.outputs():
        with pytest.raises(RefusedError, match="410: "):
            again.ask("GET", f"/outputs/{output['id']}")
        again.ask("DELETE", f"/outputs/{output['id']}")
    assert again.outputs() == []
    assert again.stop() == 0
    check(again.data, {})
