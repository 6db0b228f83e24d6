"""`/batches` and `/queue` of a real server."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

Json = Any
TEXT: Json = {
    "format": 1,
    "nodes": {
        "text": {"type": "faults.Text", "params": {"text": "a circle", "seed": 0}},
        "sum": {"type": "faults.Add", "params": {"a": 1}},
    },
    "inputs": {"prompt": "text.text", "seed": "text.seed", "a": "sum.a"},
    "outputs": {"out": "text.out", "sum": "sum.out"},
}
SLEEP = {"format": 1, "nodes": {"sleep": {"type": "faults.Sleep", "params": {"seconds": 60.0, "steps": 300}}}}


async def ended(api: Any, id: str) -> Json:
    """Return a batch, once all its items have ended."""
    async with asyncio.timeout(60):
        while True:
            batch = await api.json("GET", f"/batches/{id}?limit=500")
            if sum(batch["counts"].get(state, 0) for state in ("done", "failed", "cancelled")) == batch["total"]:
                return batch
            await asyncio.sleep(0.05)


async def results(api: Any, batch: Json) -> list[Json]:
    """Return inputs and values of the items in their order."""
    items = sorted(batch["items"], key=lambda item: item["index"])
    return [await api.json("GET", f"/jobs/{item['id']}") for item in items]


async def upload(api: Any, name: str, data: str) -> None:
    await api("POST", f"/files?name={name}", 201, data=data.encode(), headers={"Content-Type": "text/plain"})


async def test_a_product_is_one_submission_with_an_item_a_combination(api: Any) -> None:
    over = {"product": {"prompt": ["red", "blue"], "seed": [1, 2, 3]}}
    work = {"workflow": TEXT, "over": over, "inputs": {"a": 4}, "name": "sweep"}
    made = await api("POST", "/batches", 201, json=work)
    assert made.headers["Location"] == f"/api/v1/batches/{made.body['id']}"
    assert (made.body["total"], made.body["name"]) == (6, "sweep")
    batch = await ended(api, made.body["id"])
    assert batch["counts"] == {"done": 6}
    jobs = await results(api, batch)
    assert [(job["inputs"]["prompt"], job["inputs"]["seed"]) for job in jobs] == [
        (prompt, seed) for prompt in ("red", "blue") for seed in (1, 2, 3)
    ]
    assert {job["values"]["sum"] for job in jobs} == {5}
    assert [job["batch"] for job in jobs] == [batch["id"]] * 6
    assert batch["id"] in [listed["id"] for listed in (await api.json("GET", "/batches"))["items"]]


@pytest.mark.parametrize(
    ("over", "prompts"),
    [
        ({"zip": {"prompt": ["x", "y"], "a": [1, 2]}}, ["x", "y"]),
        ({"list": [{"prompt": "x"}, {"a": 3}]}, ["x", None]),
    ],
)
async def test_a_zip_and_a_list(api: Any, over: Json, prompts: list[str | None]) -> None:
    made = await api.json("POST", "/batches", 201, json={"workflow": TEXT, "over": over})
    jobs = await results(api, await ended(api, made["id"]))
    assert [job["inputs"].get("prompt") for job in jobs] == prompts


async def test_files_of_prompts_and_of_rows(api: Any) -> None:
    await upload(api, "prompts.txt", "a red circle\n\n12\n")
    over = {"file": {"name": "prompts.txt", "input": "prompt"}}
    made = await api.json("POST", "/batches", 201, json={"workflow": TEXT, "over": over})
    jobs = await results(api, await ended(api, made["id"]))
    assert [job["values"]["out"] for job in jobs] == ["a red circle", "12"]

    await upload(api, "rows.csv", "prompt,a\n7,7\n")
    made = await api.json("POST", "/batches", 201, json={"workflow": TEXT, "over": {"file": {"name": "rows.csv"}}})
    (job,) = await results(api, await ended(api, made["id"]))
    assert (job["inputs"], job["values"]) == ({"prompt": "7", "a": 7}, {"out": "7", "sum": 8})


@pytest.mark.parametrize("name", ["nowhere.txt", "../nodegraph.db", "/etc/passwd", "..\\nodegraph.db", "a\x00.txt"])
async def test_a_file_that_is_not_among_the_inputs_is_not_read(api: Any, name: str) -> None:
    over = {"file": {"name": name, "input": "prompt"}}
    assert (await api.json("POST", "/batches", 404, json={"workflow": TEXT, "over": over}))["error"][
        "code"
    ] == "not_found"


async def test_one_item_that_cannot_run_queues_none_and_is_named(api: Any) -> None:
    before = (await api.json("GET", "/batches"))["items"]
    over = {"product": {"a": [1, "x", 3, None]}}
    found = await api.json("POST", "/batches", 422, json={"workflow": TEXT, "over": over})
    assert found["error"]["message"].startswith("2 of the items cannot run")
    assert {problem["item"] for problem in found["error"]["problems"]} == {1, 3}
    assert (await api.json("GET", "/batches"))["items"] == before


async def test_of_many_items_that_cannot_run_the_first_are_told(api: Any) -> None:
    over = {"product": {"a": ["x"] * 50, "seed": list(range(20))}}
    found = (await api.json("POST", "/batches", 422, json={"workflow": TEXT, "over": over}))["error"]
    assert found["message"].startswith("100 or more of the items cannot run")
    assert [problem["item"] for problem in found["problems"]] == list(range(100))


async def test_many_items_keep_nobody_from_submitting(api: Any) -> None:
    texts = {f"text{n}": {"type": "faults.Text", "params": {"text": str(n)}} for n in range(200)}
    large = {**TEXT, "nodes": {**TEXT["nodes"], **texts}}
    await api.json("POST", "/queue/pause")
    work = {"workflow": large, "over": {"product": {"a": list(range(100))}}}
    batch = asyncio.create_task(api.json("POST", "/batches", 201, json=work))
    waited = []
    while not batch.done():
        began = time.monotonic()
        assert (await api.json("POST", "/jobs/check", json={"workflow": TEXT}))["ok"]
        waited.append(time.monotonic() - began)
    assert (await batch)["total"] == 100
    assert len(waited) > 3
    await api.json("POST", "/queue/clear")
    await api.json("POST", "/queue/resume")


@pytest.mark.parametrize(
    "over",
    [{}, {"product": {}}, {"product": {"a": []}}, {"zip": {"a": [1], "seed": [1, 2]}}, {"list": []},
     {"product": {"a": [1]}, "zip": {"a": [1]}}, {"product": {"a": 5}},
     {"product": {"a": [0] * 101, "seed": [0] * 100}}],
)  # fmt: skip
async def test_what_varies_nothing_or_too_much_is_refused(api: Any, over: Json) -> None:
    await api.json("POST", "/batches", 422, json={"workflow": TEXT, "over": over})


async def test_the_same_key_gives_the_same_batch(api: Any) -> None:
    work = {"workflow": TEXT, "over": {"product": {"a": [1, 2]}}, "key": "batch-1"}
    first = await api.json("POST", "/batches", 201, json=work)
    again = await api.json("POST", "/batches", 201, json=work)
    assert again["id"] == first["id"]
    for values in ([1, 3], [1], [1, 2, 3]):
        other = {**work, "over": {"product": {"a": values}}}
        assert (await api.json("POST", "/batches", 409, json=other))["error"]["code"] == "key_reused"


async def test_the_queue_is_paused_a_batch_cancelled_and_its_failures_run_again(api: Any) -> None:
    paused = await api.json("POST", "/queue/pause", json={"reason": "for lunch"})
    assert (paused["paused"], paused["reason"]) == (True, "for lunch")
    nodes = {
        "fails": {"type": "faults.Raise", "params": {"kind": "ValueError"}},
        "sum": {"type": "faults.Add", "params": {"a": 1}},
    }
    workflow = {"format": 1, "nodes": nodes, "inputs": {"a": "sum.a", "why": "fails.message"}}
    made = await api.json("POST", "/batches", 201, json={"workflow": workflow, "over": {"zip": {"why": ["x", "y"]}}})
    queue = await api.json("GET", "/queue")
    assert (queue["queued"], queue["running"]) == (2, 0)
    assert [(job["batch"], job["place"]) for job in queue["jobs"]] == [(made["id"], 0), (made["id"], 1)]
    assert not (await api.json("POST", "/queue/resume"))["paused"]
    batch = await ended(api, made["id"])
    assert batch["counts"] == {"failed": 2}
    assert all(item["failure"]["code"] == "node_failed" for item in batch["items"])
    again = await api.json("POST", f"/batches/{batch['id']}/retry")
    assert again["total"] == 4
    batch = await ended(api, batch["id"])
    assert sorted(item["retry_of"] for item in batch["items"] if "retry_of" in item) == sorted(
        item["id"] for item in batch["items"] if "retry_of" not in item
    )


async def test_a_batch_and_the_queue_are_emptied(api: Any) -> None:
    await api.json("POST", "/queue/pause")
    first = await api.json("POST", "/batches", 201, json={"workflow": TEXT, "over": {"product": {"a": [1, 2, 3]}}})
    await api.json("POST", "/batches", 201, json={"workflow": TEXT, "over": {"product": {"a": [1, 2]}}})
    assert (await api.json("POST", f"/batches/{first['id']}/cancel"))["count"] == 3
    assert (await ended(api, first["id"]))["counts"] == {"cancelled": 3}
    assert (await api.json("POST", "/queue/clear"))["count"] == 2
    assert (await api.json("POST", "/queue/resume"))["queued"] == 0


async def test_a_device_is_paused_by_its_id(api: Any) -> None:
    async with asyncio.timeout(30):
        while not (devices := (await api.json("GET", "/queue"))["devices"]) or devices[0]["state"] != "idle":
            await asyncio.sleep(0.05)
    paused = await api.json("POST", "/queue/pause", json={"device": devices[0]["id"]})
    assert paused["devices"][0]["state"] == "paused"
    assert not paused["paused"]
    assert (await api.json("POST", "/queue/resume", json={"device": devices[0]["id"]}))["devices"][0]["state"] == "idle"
    await api.json("POST", "/queue/pause", 404, json={"device": "cuda:99"})
    await api.json("POST", "/queue/resume", 404, json={"device": "cuda:99"})
