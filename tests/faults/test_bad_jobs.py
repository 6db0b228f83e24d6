"""Jobs that crash their process, or raise whatever can be raised: they fail by themselves, and the next one runs."""

from __future__ import annotations

from tests.faults.harness import Start, node, sleep, workflow


def test_a_job_that_crashes_its_process_fails_after_two_attempts_and_the_next_one_runs(start: Start) -> None:
    """Row 5 of the fault matrix."""
    server = start()
    wheres = {"segfault": "segmentation fault", "exit": "exit code 3"}
    poison: dict[str, str] = {}
    good: list[str] = []
    for how in wheres:
        poison[how] = server.submit(workflow({"bad": node("Crash", how=how)}, ["bad"]))
        good.append(server.submit(sleep(0.01, len(good))))
    server.idle()
    for how, words in wheres.items():
        job = server.job(poison[how])
        assert (job["state"], job["attempts"]) == ("failed", 2)
        assert (job["failure"]["code"], job["failure"]["node"]) == ("crashed_twice", "bad")
        assert words in job["failure"]["message"].lower(), job["failure"]
        assert [(at["node"], at["state"]) for at in job["node_states"]] == [("bad", "cancelled")]
    assert [server.job(id)["state"] for id in good] == ["done"] * 2
    (device,) = server.ask("GET", "/queue")["devices"]
    assert device["restarts"] == 4
    assert device["reason"] == "the worker ended with exit code 3"
    assert server.stop() == 0


def test_whatever_a_node_raises_fails_its_own_job_alone(start: Start) -> None:
    """Row 6 of the fault matrix."""
    server = start()
    kinds = ("ValueError", "SystemExit", "KeyboardInterrupt", "HugeRepr", "MemoryError")
    before = None
    for kind in kinds:
        nodes = {
            "first": node("Work", seconds=0.0, value=1),
            "bad": node("Raise", {"value": "first.out"}, kind=kind),
            "after": node("Add", {"a": "bad.out"}),
        }
        job = server.ended(server.submit(workflow(nodes, ["after"])))
        assert job["state"] == "failed", job
        failure = job["failure"]
        assert (failure["node"], failure["type"]) == ("bad", "faults.Raise")
        assert len(failure["message"]) < 5000
        assert "Traceback" not in str(job)
        states = {at["node"]: at["state"] for at in job["node_states"]}
        assert states["bad"] == "failed", (kind, job)
        assert states.get("after") == (None if kind == "KeyboardInterrupt" else "skipped")  # that one ends the run
        assert states["first"] in ("finished", "cached")
        assert server.ended(server.submit(sleep(0.01)))["state"] == "done"
        pids = server.workers()
        assert before in (None, pids), f"{kind} ended the worker"
        before = pids
    assert server.stop() == 0
