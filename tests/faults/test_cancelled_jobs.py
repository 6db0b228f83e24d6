"""Jobs that are cancelled wherever they are, once or by many at once: in time, with nothing half done left."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodegraph.resources import workflows
from tests.faults.harness import FINAL, Json, Server, Servers, Start, node, save, sleep, until, workflow
from tests.faults.invariants import Wanted, check, left_in, pictures


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that the tests share, whose worker has run something."""
    servers = Servers(tmp_path_factory.mktemp("cancelled"))
    server = servers.start()
    server.ended(server.submit(sleep(0.01)))
    yield server
    assert server.stop() == 0
    servers.end()


def cancel(server: Server, id: str) -> float:
    """Cancel a job; return the seconds from the call to its final state."""
    began = time.monotonic()
    server.ask("POST", f"/jobs/{id}/cancel")
    job = server.ended(id, 30)
    seconds = time.monotonic() - began
    assert job["state"] == "cancelled", job
    assert server.outputs(f"job={id}") == []
    assert left_in(server.data / "output") == []
    until(lambda: left_in(server.data / "staging") == [], 5, "nothing is left in the staging folder")
    return seconds


def at(server: Server, id: str, name: str, value: float) -> None:
    """Wait until a node of a job is so far."""

    def there() -> bool:
        job = server.job(id)
        assert job["state"] not in FINAL, job
        return any(
            state["node"] == name and state["state"] == "running" and state.get("value", 0) >= value
            for state in job["node_states"]
        )

    until(there, 60, f"{name} is at {value:g}")


def drawing(**nodes: Mapping[str, Json]) -> dict[str, Json]:
    """Return a job that draws with the bundled model, with parameters of its nodes changed."""
    document = json.loads((workflows() / "text_to_image.json").read_text())
    for name, params in nodes.items():
        document["nodes"][name].setdefault("params", {}).update(params)
    return {"workflow": document}


def test_a_queued_job_is_cancelled_at_once(server: Server) -> None:
    """Row 8 of the fault matrix."""
    first = server.submit(sleep(30))
    server.running(first)
    queued = [server.submit(sleep(0, number)) for number in range(20)]
    clocks = sorted(cancel(server, id) for id in queued)
    assert clocks[18] < 0.5  # p95
    assert [server.job(id)["attempts"] for id in queued] == [0] * 20
    cancel(server, first)


def test_a_running_job_ends_at_its_next_step_and_between_files(server: Server) -> None:
    """Row 8 of the fault matrix."""
    chance = random.Random(8)
    clocks = []
    for number in range(10):
        work = sleep(20, number, steps=200) if number % 2 else save(f"{number}", count=200, seconds=0.1)
        id = server.submit(work)
        server.running(id)
        time.sleep(chance.uniform(0, 0.3))
        clocks.append(cancel(server, id))
    assert sorted(clocks)[9] < 1.0
    assert server.ended(server.submit(sleep(0.01)))["state"] == "done"


def test_what_was_computed_before_a_cancel_is_kept(server: Server, tmp_path: Path) -> None:
    """Row 8 of the fault matrix."""
    log = tmp_path / "ran"
    nodes = {
        "work": node("Work", seconds=0.01, value=77, log=str(log)),
        "slow": node("Sleep", {"value": "work.out"}, seconds=20, steps=200),
    }
    for _ in range(2):
        id = server.submit(workflow(nodes, ["slow"]))
        at(server, id, "slow", 1)
        cancel(server, id)
    assert log.read_text().split() == ["work"]


def test_a_job_that_does_not_listen_is_ended_with_its_worker(server: Server) -> None:
    """Row 8 of the fault matrix: five seconds after the call, and it is not run again."""
    id = server.submit(workflow({"deaf": node("Deaf", seconds=60)}, ["deaf"]))
    server.running(id)
    workers = server.workers()
    assert 4.5 < cancel(server, id) < 8
    assert server.ended(server.submit(sleep(0.01)))["state"] == "done"
    assert server.workers() != workers
    assert (server.job(id)["state"], server.job(id)["attempts"]) == ("cancelled", 1)


@pytest.mark.slow
def test_a_picture_is_given_up_in_load_in_a_step_and_in_its_decoding(server: Server) -> None:
    """Row 8 of the fault matrix, with the bundled model; a load that is slow is tested with the library."""
    loading = server.submit(drawing())
    at(server, loading, "model", 0)
    assert cancel(server, loading) < 6  # the first job of a worker may still import torch: it is killed then
    step = server.submit(drawing(canvas={"width": 256, "height": 256}, sample={"steps": 1000}))
    at(server, step, "sample", 3)
    assert cancel(server, step) < 1.5
    document = drawing(canvas={"width": 768, "height": 768})["workflow"]
    document["nodes"]["decode"]["links"]["samples"] = "canvas.out"
    clocks = []
    for batch, after in enumerate((0.1, 0.3, 0.6), 4):
        document["nodes"]["canvas"]["params"]["batch_size"] = batch
        decoding = server.submit({"workflow": document, "targets": ["save"]})
        at(server, decoding, "decode", 0)
        time.sleep(after)
        clocks.append(cancel(server, decoding))
    assert max(clocks) < 3.0, clocks


def test_a_storm_of_cancels_leaves_each_job_in_one_final_state(start: Start) -> None:
    """Row 9 of the fault matrix: before, while and after they run, each by several at once."""
    server = start("--workers", "2")
    wanted = {f"job{number}": Wanted(2, frozenset({"done", "cancelled"})) for number in range(30)}
    ids = [server.submit(pictures(key, 2, seconds=0.1)) for key in wanted]

    def storm(seed: int) -> Counter[str]:
        chance, told = random.Random(seed), Counter[str]()
        for id in chance.sample(ids, len(ids)):
            told[server.ask("POST", f"/jobs/{id}/cancel")["state"]] += 1
            time.sleep(chance.uniform(0, 0.02))
        return told

    server.ended(ids[3])
    with ThreadPoolExecutor(8) as pool:
        told = sum(pool.map(storm, range(8)), Counter())
    server.idle(30)
    before = server.jobs()
    assert {job["state"] for job in before} <= {"done", "cancelled"}
    assert told["done"]
    assert told["cancelled"]
    for id in ids:
        server.ask("POST", f"/jobs/{id}/cancel")
        server.ask("POST", f"/jobs/{id}/cancel")
    assert server.jobs() == before
    assert server.stop() == 0
    states = check(server.data, wanted)
    assert states["done"] >= 4
    assert states["cancelled"] > 3
    assert start(data=server.data).jobs() == before
