"""`/jobs` of a real server with real workers."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from nodegraph.server.api.wire import JobSummary
from nodegraph.server.live import summary
from nodegraph.server.records import Failure, Job, Question, State

Json = Any
SUM = {
    "format": 1,
    "nodes": {"sum": {"type": "faults.Add", "params": {"a": 1, "b": 2}}},
    "inputs": {"a": "sum.a", "b": "sum.b"},
    "outputs": {"sum": "sum.out"},
}
SLEEP = {
    "format": 1,
    "nodes": {"sleep": {"type": "faults.Sleep", "params": {"seconds": 60.0, "steps": 300}}},
    "inputs": {"seconds": "sleep.seconds"},
    "outputs": {"out": "sleep.out"},
}


async def held(api: Any) -> Any:
    """Begin a job that keeps the one worker busy."""
    job = await api.json("POST", "/jobs", 201, json={"workflow": SLEEP, "name": "holds the worker"})
    while (await api.json("GET", f"/jobs/{job['id']}"))["state"] == "queued":
        await asyncio.sleep(0.05)
    return job


async def freed(api: Any, *jobs: Any) -> None:
    for job in jobs:
        await api.json("POST", f"/jobs/{job['id']}/cancel")
        assert (await api.json("GET", f"/jobs/{job['id']}?wait=20"))["state"] == "cancelled"


async def test_a_job_is_told_with_its_result_when_it_ends_in_time(api: Any) -> None:
    answer = await api("POST", "/jobs?wait=60", 200, json={"workflow": SUM, "inputs": {"a": 40}, "name": "adds"})
    job = answer.body
    assert (job["state"], job["values"], job["inputs"], job["name"]) == ("done", {"sum": 42}, {"a": 40}, "adds")
    assert (job["progress"], job["attempts"], job["nodes"]) == (1.0, 1, 1)
    assert [(node["node"], node["type"]) for node in job["node_states"]] == [("sum", "faults.Add")]
    assert await api.json("GET", f"/jobs/{job['id']}") == job
    document = await api.json("GET", f"/jobs/{job['id']}/workflow")
    assert document["nodes"] == SUM["nodes"]


async def test_a_job_that_takes_longer_goes_on(api: Any) -> None:
    answer = await api("POST", "/jobs?wait=0.2", 202, json={"workflow": SLEEP})
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.body['id']}"
    assert (await api("GET", f"/jobs/{answer.body['id']}?wait=0", 202)).body["state"] in ("queued", "running")
    await freed(api, answer.body)


async def test_integers_beyond_what_a_float_holds_stay_exact(api: Any) -> None:
    big = 2**63 - 1
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": SUM, "inputs": {"a": big, "b": 0}})
    assert job["inputs"]["a"] == big
    assert job["values"] == {"sum": big}


async def test_a_workflow_that_cannot_run_is_refused_with_every_problem(api: Any) -> None:
    nodes = {
        "sum": {"type": "faults.Ad", "params": {"a": 1}},
        "two": {"type": "faults.Add", "params": {"a": "x", "bb": 1}},
    }
    body = await api.json("POST", "/jobs", 422, json={"workflow": {"format": 1, "nodes": nodes}})
    assert body["error"]["code"] == "invalid_workflow"
    problems = {(problem["node"], problem["field"]): problem for problem in body["error"]["problems"]}
    assert problems["sum", "type"]["nearest"] == "faults.Add"
    assert problems["two", "params.a"]["got"] == "x"
    assert problems["two", "params.bb"]["nearest"] == "b"


async def test_an_input_that_the_workflow_does_not_expose_is_named(api: Any) -> None:
    body = await api.json("POST", "/jobs", 422, json={"workflow": SUM, "inputs": {"aa": 1}, "targets": ["sum"]})
    assert "aa" in body["error"]["problems"][0]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"workflow": SUM, "workflow_name": "x"}, ""),
        ({"workflow": []}, "workflow"),
        ({"workflow": SUM, "priority": 1.5}, "priority"),
        ({"workflow": SUM, "priority": True}, "priority"),
        ({"workflow": SUM, "priority": 10**6}, "priority"),
        ({"workflow": SUM, "timeout": 0}, "timeout"),
        ({"workflow": SUM, "name": "two\nlines"}, "name"),
        ({"workflow": SUM, "name": "x" * 201}, "name"),
        ({"workflow": SUM, "client": 5}, "client"),
        ({"workflow": SUM, "colour": "red"}, "colour"),
        ({"workflow": SUM, "inputs": [1]}, "inputs"),
        ({"workflow": SUM, "targets": "sum"}, "targets"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_by_field(api: Any, body: Json, field: str) -> None:
    found = await api.json("POST", "/jobs", 422, json=body)
    assert found["error"]["code"] == "invalid_body"
    assert found["error"]["problems"][0]["field"].split(".")[0] == field


async def test_a_webhook_to_a_host_that_is_not_listed_is_refused(api: Any) -> None:
    body = {"workflow": SUM, "webhook": "http://169.254.169.254/latest"}
    assert (await api.json("POST", "/jobs", 422, json=body))["error"]["code"] == "webhook_refused"


async def test_an_unknown_target_is_refused(api: Any) -> None:
    body = await api.json("POST", "/jobs", 422, json={"workflow": SUM, "targets": ["summ"]})
    problem = body["error"]["problems"][0]
    assert (problem["code"], problem["got"], problem["nearest"]) == ("unknown_target", "summ", "sum")


async def test_the_same_key_gives_the_same_job_and_stands_for_that_work_only(api: Any) -> None:
    work = {"workflow": SUM, "inputs": {"a": 7}}
    first = await api.json("POST", "/jobs", 201, json=work, headers={"Idempotency-Key": "k-1"})
    again = await api.json("POST", "/jobs", 201, json={**work, "key": "k-1"})
    assert again["id"] == first["id"]
    other = await api.json("POST", "/jobs", 409, json={**work, "inputs": {"a": 8}, "key": "k-1"})
    assert other["error"]["code"] == "key_reused"
    differing = await api.json("POST", "/jobs", 400, json={**work, "key": "k-2"}, headers={"Idempotency-Key": "k-3"})
    assert differing["error"]["code"] == "invalid_key"


async def test_a_check_tells_what_would_run_and_queues_nothing(api: Any) -> None:
    before = await api.json("GET", "/queue")
    good = await api.json("POST", "/jobs/check", json={"workflow": SUM, "inputs": {"b": 5}})
    assert (good["ok"], good["nodes"], good["inputs"]) == (True, {"sum": "faults.Add"}, {"a": 1, "b": 5})
    bad = await api.json("POST", "/jobs/check", json={"workflow": SUM, "inputs": {"b": "five"}})
    assert not bad["ok"]
    assert bad["problems"][0]["node"] == "sum"
    assert (await api.json("GET", "/queue"))["queued"] == before["queued"]


async def test_jobs_are_listed_newest_first_in_parts_and_found_by_state_and_text(api: Any) -> None:
    made = [
        (await api.json("POST", "/jobs?wait=60", json={"workflow": SUM, "inputs": {"a": n}, "name": f"listed {n}"}))[
            "id"
        ]
        for n in range(5)
    ]
    found: list[str] = []
    cursor = ""
    while True:
        page = await api.json("GET", f"/jobs?text=listed&state=done&state=failed&limit=2{cursor}")
        found += [job["id"] for job in page["items"]]
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert found == made[::-1]
    assert (await api.json("GET", "/jobs?text=listed&state=cancelled"))["items"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "state=gone", "limit=x", "colour=red"])
async def test_a_query_that_does_not_fit_is_refused(api: Any, query: str) -> None:
    response = await api.json("GET", f"/jobs?{query}", 422)
    assert response["error"]["code"] == "invalid_query"


@pytest.mark.parametrize("cursor", ["%00", "zz", "-1", "9" * 30])
async def test_a_cursor_that_no_list_gave_is_refused(api: Any, cursor: str) -> None:
    assert (await api.json("GET", f"/jobs?cursor={cursor}", 400))["error"]["code"] == "bad_cursor"


async def test_a_queued_job_is_moved_cancelled_retried_and_removed(api: Any) -> None:
    holder = await held(api)
    jobs = [await api.json("POST", "/jobs", 201, json={"workflow": SUM, "name": f"m{n}"}) for n in range(3)]
    moved = await api.json("PATCH", f"/jobs/{jobs[2]['id']}", json={"before": jobs[0]["id"]})
    assert moved["state"] == "queued"
    await api.json("PATCH", f"/jobs/{jobs[1]['id']}", json={"priority": 5})
    queue = await api.json("GET", "/queue")
    order = [job["id"] for job in queue["jobs"]]
    assert order == [holder["id"], jobs[1]["id"], jobs[2]["id"], jobs[0]["id"]]
    assert (queue["queued"], queue["running"]) == (3, 1)
    await api.json("PATCH", f"/jobs/{holder['id']}", 409, json={"end": "first"})
    await api.json("DELETE", f"/jobs/{holder['id']}", 409)
    for job in (*jobs, holder):
        await freed(api, job)
    assert (await api.json("POST", f"/jobs/{holder['id']}/cancel"))["state"] == "cancelled"
    again = await api.json("POST", f"/jobs/{jobs[0]['id']}/retry?wait=60")
    assert (again["retry_of"], again["state"], again["name"]) == (jobs[0]["id"], "done", "m0")
    assert await api.json("DELETE", f"/jobs/{jobs[1]['id']}?outputs=true", 204) is None
    await api.json("GET", f"/jobs/{jobs[1]['id']}", 404)


@pytest.mark.parametrize(
    "body", [{}, {"end": "middle"}, {"before": "x", "after": "y"}, {"end": "first", "before": "x"}]
)
async def test_a_move_to_no_place_or_two_is_refused(api: Any, body: Json) -> None:
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": SUM})
    assert (await api.json("PATCH", f"/jobs/{job['id']}", 422, json=body))["error"]["code"] == "invalid_body"


async def test_a_gate_waits_for_an_answer_that_fits(api: Any) -> None:
    nodes = {
        "sum": {"type": "faults.Add", "params": {"a": 1}},
        "gate": {"type": "Gate", "params": {"question": "Sure?", "choices": "yes\nno"}, "links": {"value": "sum.out"}},
    }
    outputs = {"chosen": "gate.choice", "sum": "gate.out"}
    work = {"workflow": {"format": 1, "nodes": nodes, "outputs": outputs}}
    async with asyncio.timeout(60):  # who waits is told at once: nobody else helps the job on
        job = await api.json("POST", "/jobs?wait=300", 202, json=work)
        path = f"/jobs/{job['id']}"
        assert (await api.json("GET", f"{path}?wait=300", 202))["state"] == job["state"] == "waiting"
    assert [(asked["node"], asked["question"], asked["choices"]) for asked in job["questions"]] == [
        ("gate", "Sure?", ["yes", "no"])
    ]
    await api.json("POST", f"{path}/answers", 422, json={"answers": {"gate": "perhaps"}})
    await api.json("POST", f"{path}/answers", 422, json={"answers": {}})
    await api.json("POST", f"{path}/answers", json={"answers": {"gate": "yes"}})
    done = await api.json("GET", f"{path}?wait=60")
    assert (done["state"], done["values"]) == ("done", {"chosen": "yes", "sum": 2})
    await api.json("POST", f"{path}/answers", 409, json={"answers": {"gate": "yes"}})


async def test_a_failure_names_the_node_and_no_path(api: Any) -> None:
    nodes = {"fails": {"type": "faults.Raise", "params": {"kind": "Secret"}}}
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": {"format": 1, "nodes": nodes}})
    assert (job["state"], job["failure"]["code"], job["failure"]["node"]) == ("failed", "node_failed", "fails")
    assert "sk-live" not in json.dumps(job)
    assert "/home" not in json.dumps(job)


async def test_outputs_are_told_with_the_job(api: Any) -> None:
    nodes = {"save": {"type": "faults.Save", "params": {"count": 2, "filename_prefix": "told"}}}
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": {"format": 1, "nodes": nodes}})
    assert [(output["ordinal"], output["media"], output["width"]) for output in job["outputs"]] == [
        (0, "image/png", 16),
        (1, "image/png", 16),
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/nobody"),
        ("GET", "/jobs/nobody/workflow"),
        ("POST", "/jobs/nobody/cancel"),
        ("POST", "/jobs/nobody/retry"),
        ("DELETE", "/jobs/nobody"),
        ("GET", "/batches/nobody"),
        ("POST", "/batches/nobody/cancel"),
        ("POST", "/batches/nobody/retry"),
    ],
)
async def test_what_is_not_there_is_told_so(api: Any, method: str, path: str) -> None:
    assert (await api.json(method, path, 404))["error"]["code"] == "not_found"


async def test_history_is_exported_and_taken_in_again(api: Any) -> None:
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": SUM, "inputs": {"a": 5}, "name": "goes out"})
    lines = (await api("GET", "/jobs/export?state=done")).body
    assert job["id"] in [json.loads(line)["id"] for line in lines.splitlines()]
    await api.json("DELETE", f"/jobs/{job['id']}", 204)
    headers = {"Content-Type": "application/x-ndjson"}
    counts = await api.json("POST", "/jobs/import", data=lines, headers=headers)
    assert (counts["history"], counts["queued"]) == (1, 0)
    assert counts["skipped"] == len(lines.splitlines()) - 1
    back = await api.json("GET", f"/jobs/{job['id']}")
    assert (back["values"], back["name"]) == (job["values"], "goes out")


@pytest.mark.parametrize(
    ("data", "media", "status"),
    [
        (b"{}", "application/json", 415),
        (b"{", "application/x-ndjson", 400),
        (b"[]\n", "application/x-ndjson", 400),
        (b'{"id": "x"}\n', "application/x-ndjson", 422),
        (b"[" * 1000 + b"\n", "application/x-ndjson", 400),
        (b"\n" + b" " * (9 * 2**20), "application/x-ndjson", 413),
    ],
)
async def test_an_import_of_anything_else_is_refused(api: Any, data: bytes, media: str, status: int) -> None:
    await api.json("POST", "/jobs/import", status, data=io.BytesIO(data), headers={"Content-Type": media})


async def test_old_jobs_are_pruned(api: Any) -> None:
    for _ in range(2):
        await api.json("POST", "/jobs?wait=60", json={"workflow": SUM})
    assert (await api.json("POST", "/jobs/prune", json={"keep": 1, "states": ["done"]}))["count"] > 0
    assert len((await api.json("GET", "/jobs?state=done"))["items"]) == 1
    await api.json("POST", "/jobs/prune", 422, json={})


def test_events_tell_of_a_job_what_lists_tell() -> None:
    failure = Failure(code="node_failed", message="no", node="a", problems=({"code": "x", "got": None},))
    question = Question(node="g", question="?", choices=(1, "a", None), outputs=("o",))
    job = Job(
        id="i", seq=1, user="u", state=State.WAITING, document="d", failure=failure, questions=(question,), device="cpu"
    )
    assert json.loads(json.dumps(summary(job))) == JobSummary.of(job).model_dump()
