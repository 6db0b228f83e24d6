"""`/jobs/plan`: what a run would take from the cache and what it would run, and why."""

from __future__ import annotations

import asyncio
import time
from typing import Any

Json = Any


def sums(**params: int) -> dict[str, Json]:
    """Return a workflow of two sums and one that is not kept."""
    nodes = {
        "one": {"type": "faults.Add", "params": {"a": 1, **params}},
        "two": {"type": "faults.Add", "links": {"a": "one.out"}},
        "shown": {"type": "faults.Save", "params": {"text": "x", "count": 1}},
    }
    return {"format": 1, "nodes": nodes, "outputs": {"sum": "two.out"}}


def told(answer: Json) -> dict[str, tuple[str, str]]:
    return {decision["node"]: (decision["action"], decision["reason"]) for decision in answer["plan"]}


async def test_a_plan_tells_what_is_there_and_why_the_rest_would_run(api: Any) -> None:
    workflow = sums(b=77)
    first = told(await api.json("POST", "/jobs/plan", json={"workflow": workflow}))
    assert first["one"] == ("run", "it runs for the first time")
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": workflow})
    assert job["state"] == "done"
    again = await api.json("POST", "/jobs/plan", json={"workflow": workflow})
    assert again["ok"]
    assert told(again)["two"][0] == "reuse"
    assert told(again)["one"][0] == "unneeded"
    assert told(again)["shown"] == ("run", "a sink runs each time")
    changed = told(await api.json("POST", "/jobs/plan", json={"workflow": sums(b=78)}))
    assert changed["one"] == ("run", "`b` changed from 77 to 78")
    assert changed["two"] == ("run", "upstream `one` runs")


async def test_a_plan_has_inputs_and_targets_and_is_a_check(api: Any) -> None:
    answer = await api.json(
        "POST", "/jobs/plan", json={"workflow": sums(b=5), "targets": ["one"], "inputs": {"one.b": 6}}
    )
    assert set(told(answer)) == {"one"}
    assert set(answer["nodes"]) == {"one", "two", "shown"}
    wrong = await api.json("POST", "/jobs/plan", json={"workflow": sums(c=5)})
    assert (wrong["ok"], wrong["plan"]) == (False, [])
    assert wrong["problems"][0]["node"] == "one"


async def test_sinks_in_a_loop_are_run_beside_another_sink(api: Any) -> None:
    body = {
        "nodes": {
            "saved": {"type": "faults.Save", "params": {"text": "in"}},
            "sum": {"type": "faults.Add", "params": {"a": 1}},
        },
        "inputs": {"item": "sum.b"},
        "outputs": {"out": "sum.out"},
    }
    nodes = {
        "items": {"type": "Range", "params": {"stop": 2}},
        "each": {"type": "ForEach", "params": {"body": "body"}, "links": {"items": "items.out"}},
        "save": {"type": "faults.Save", "params": {"text": "other"}},
    }
    work = {"workflow": {"format": 1, "nodes": nodes, "subgraphs": {"body": body}}}
    assert "each" in told(await api.json("POST", "/jobs/plan", json=work))
    job = await api.json("POST", "/jobs?wait=60", json=work)
    assert len(job["outputs"]) == 3


async def test_a_plan_is_told_while_a_job_runs(api: Any) -> None:
    sleep = {"format": 1, "nodes": {"sleep": {"type": "faults.Sleep", "params": {"seconds": 30}}}}
    job = await api.json("POST", "/jobs", 201, json={"workflow": sleep | {"outputs": {"out": "sleep.out"}}})
    try:
        while (await api.json("GET", f"/jobs/{job['id']}"))["state"] != "running":
            await asyncio.sleep(0.02)
        began = time.monotonic()
        assert told(await api.json("POST", "/jobs/plan", json={"workflow": sums(b=9)}))["one"][0] == "run"
        assert time.monotonic() - began < 5
    finally:
        await api.json("POST", f"/jobs/{job['id']}/cancel")
        await api.json("GET", f"/jobs/{job['id']}?wait=60")


async def test_a_long_workflow_is_planned_at_once(api: Any) -> None:
    nodes = {"n0": {"type": "faults.Add", "params": {"a": 1}}}
    nodes |= {f"n{i}": {"type": "faults.Add", "links": {"a": f"n{i - 1}.out"}} for i in range(1, 100)}
    work = {"workflow": {"format": 1, "nodes": nodes}, "targets": ["n99"]}
    await api.json("POST", "/jobs/plan", json=work)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(told(await api.json("POST", "/jobs/plan", json=work))) == 100
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5  # 0.02 s where nobody else uses the machine


async def test_nobody_is_told_of_another_users_values(api: Any) -> None:
    other = api.as_user((await api.json("POST", "/users", 201, json={"name": "ann"}))["token"])
    await api.json("POST", "/jobs?wait=60", json={"workflow": sums(b=4242)})
    seen = told(await other.json("POST", "/jobs/plan", json={"workflow": sums(b=5)}))
    assert seen["one"] == ("run", "it runs for the first time")
