"""Muted and bypassed nodes on a server: in checks, jobs, batches."""

from __future__ import annotations

from typing import Any

Json = Any
NODES: dict[str, Json] = {
    "one": {"type": "faults.Add", "params": {"a": 1}},
    "two": {"type": "faults.Add", "mode": "bypass", "params": {"b": 100}, "links": {"a": "one.out"}},
    "three": {"type": "faults.Add", "links": {"a": "two.out"}},
    "gone": {"type": "no.Such", "mode": "mute"},
}
WORKFLOW = {"format": 1, "nodes": NODES, "inputs": {"n": "one.a"}, "outputs": {"sum": "three.out"}}


async def test_a_check_tells_what_is_left_out(api: Any) -> None:
    told = await api.json("POST", "/jobs/check", json={"workflow": WORKFLOW})
    assert told["ok"]
    assert set(told["nodes"]) == {"one", "three"}
    assert told["left_out"] == {"two": "it is bypassed", "gone": "it is muted"}


async def test_a_target_that_is_left_out_is_a_problem(api: Any) -> None:
    told = await api.json("POST", "/jobs/check", json={"workflow": WORKFLOW, "targets": ["two"]})
    assert not told["ok"]
    assert told["problems"][0]["code"] == "target_left_out"
    assert told["problems"][0]["node"] == "two"


async def test_a_job_and_a_batch_run_what_is_left(api: Any) -> None:
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": WORKFLOW})
    assert job["state"] == "done"
    assert {node["node"] for node in job["node_states"]} == {"one", "three"}
    assert job["values"] == {"sum": 3}
    batch = await api.json(
        "POST", "/batches", 201, json={"workflow": WORKFLOW, "over": {"product": {"n": [1, 2]}}}
    )  # fmt: skip
    found = {}
    for item in batch["items"]:
        ended = await api.json("GET", f"/jobs/{item['id']}?wait=60")
        found[ended["inputs"]["n"]] = ended["values"]["sum"]
    assert found == {1: 3, 2: 4}
