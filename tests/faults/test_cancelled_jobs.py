"""Jobs that are cancelled by many at once, or do not listen: each ends in one final state and stays there."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.faults.harness import Start, node, sleep, workflow
from tests.faults.invariants import Wanted, check, pictures


def test_a_job_that_does_not_listen_is_ended_with_its_worker(start: Start) -> None:
    """Row 8 of the fault matrix: five seconds after the call, and it is not run again."""
    server = start()
    id = server.submit(workflow({"deaf": node("Deaf", seconds=60)}, ["deaf"]))
    server.running(id)
    workers = server.workers()
    began = time.monotonic()
    server.ask("POST", f"/jobs/{id}/cancel")
    assert server.ended(id, 30)["state"] == "cancelled"
    assert 4.5 < time.monotonic() - began < 8
    assert server.ended(server.submit(sleep(0.01)))["state"] == "done"
    assert server.workers() != workers
    assert (server.job(id)["state"], server.job(id)["attempts"]) == ("cancelled", 1)


def test_a_storm_of_cancels_leaves_each_job_in_one_final_state(start: Start) -> None:
    """Row 9 of the fault matrix: before, while and after they run, each by several at once."""
    server = start("--workers", "2")
    wanted = {f"job{number}": Wanted(2, frozenset({"done", "cancelled"})) for number in range(30)}
    ids = [server.submit(pictures(key, 2, seconds=0.1 if at < 4 else 3)) for at, key in enumerate(wanted)]

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
