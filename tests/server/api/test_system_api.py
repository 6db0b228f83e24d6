"""`/nodes`, `/models`, `/system`, `/users` of a real server; what users see of each other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.api.routing import API

Json = Any
SUM = {"format": 1, "nodes": {"sum": {"type": "faults.Add", "params": {"a": 1}}}, "outputs": {"sum": "sum.out"}}


async def test_node_types_are_told_once_and_then_by_their_tag(api: Any) -> None:
    first = await api("GET", "/nodes?fresh=true")
    assert not first.body["stale"]
    assert first.body["nodes"]["faults.Add"]["properties"]["params"]["properties"]["b"]["default"] == 1
    same = await api("GET", "/nodes", 304, headers={"If-None-Match": first.headers["ETag"]})
    assert same.headers["ETag"] == first.headers["ETag"]
    await api("GET", "/nodes", 304, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    await api("GET", "/nodes", 200, headers={"If-None-Match": '"other"'})
    await api("GET", "/nodes", 200, headers={"If-None-Match": 'no tag at all, "'})


async def test_the_node_types_come_with_what_fits_what(api: Any) -> None:
    fits = (await api.json("GET", "/nodes?fresh=true"))["fits"]
    assert fits["Image"]["Image"] == "whole"
    assert "Latent" not in fits["Image"]
    assert fits["int"]["float"] == "whole"
    assert fits["list[Image]"]["Image"] == "each"


async def test_a_node_type_is_told_by_its_id(api: Any) -> None:
    schema = await api.json("GET", "/nodes/KSampler")
    assert schema["properties"]["params"]["properties"]["steps"]["type"] == "integer"
    await api.json("GET", "/nodes/KSamplerr", 404)


async def test_plugins_are_told_with_what_became_of_them(api: Any) -> None:
    plugins = {plugin["name"]: plugin for plugin in (await api.json("GET", "/plugins"))["plugins"]}
    assert plugins["faults"]["state"] == "loaded"
    assert plugins["nodegraph_broken.raises"]["state"] == "quarantined"
    assert "no nodes today" in plugins["nodegraph_broken.raises"]["reason"]


async def test_models_are_listed_and_described(api: Any) -> None:
    models = (await api.json("GET", "/models"))["models"]
    name = "shapes.safetensors"
    assert name in models["checkpoints"]
    model = await api.json("GET", f"/models/checkpoints/{name}")
    assert (model["kind"], model["name"]) == ("checkpoints", name)
    assert model["size"] > 10**6
    assert model["about"]
    assert str(Path(__file__).parents[3]) not in json.dumps(model)


@pytest.mark.parametrize("path", ["checkpoints/nowhere.safetensors", "nothing/x", "checkpoints/..%2F..%2Fetc%2Fpasswd"])
async def test_a_model_that_is_not_there_is_told_so(api: Any, path: str) -> None:
    await api.json("GET", f"/models/{path}", 404)


async def test_the_server_tells_of_itself_and_of_no_path(api: Any) -> None:
    system = await api.json("GET", "/system")
    assert system["user"] == {"user": "owner", "admin": True, "via": "bearer"} == await api.json("GET", "/me")
    assert system["limits"]["batch"] == 10_000
    assert [name for name, most in system["limits"].items() if isinstance(most, float)] == ["read_seconds"]
    assert 0 < system["disk"]["free"] <= system["disk"]["total"]
    assert 0 < system["uptime"] < 3600
    assert system["nodes_ready"]
    assert "/" not in json.dumps(system)


@pytest.fixture
async def mary(api: Any) -> Any:
    """Return the API as a user sees it who is no admin."""
    if "mary" in [user["name"] for user in (await api.json("GET", "/users"))["items"]]:
        await api.json("DELETE", "/users/mary", 204)
    made = await api.json("POST", "/users", 201, json={"name": "mary"})
    return api.as_user(made["token"])


async def test_users_are_added_listed_renewed_and_removed(api: Any, mary: Any) -> None:
    assert await mary.json("GET", "/me") == {"user": "mary", "admin": False, "via": "bearer"}
    assert (await api.json("POST", "/users", 409, json={"name": "mary"}))["error"]["code"] == "user_taken"
    renewed = await api.json("POST", "/users/mary/token")
    await mary.json("GET", "/me", 401)
    again = api.as_user(renewed["token"])
    await again.json("GET", "/me")
    link = await api.json("POST", "/users/mary/link")
    assert link["path"].startswith("/login?code=")
    await api.json("DELETE", "/users/mary", 204)
    await again.json("GET", "/me", 401)
    await api.json("DELETE", "/users/mary", 404)
    await api.json("DELETE", "/users/owner", 409)


@pytest.mark.parametrize("name", ["", "Mary", "../x", "a b", "con", "x" * 33, "é"])
async def test_a_name_that_no_folder_should_have_is_refused(api: Any, name: str) -> None:
    await api.json("POST", "/users", 422, json={"name": name})


async def test_a_user_sees_own_jobs_only_and_reaches_no_others(api: Any, mary: Any) -> None:
    mine = await api.json("POST", "/jobs?wait=60", json={"workflow": SUM})
    hers = await mary.json("POST", "/jobs?wait=60", json={"workflow": SUM})
    batch = await api.json("POST", "/batches", 201, json={"workflow": SUM, "over": {"list": [{}]}})
    assert [job["id"] for job in (await mary.json("GET", "/jobs"))["items"]] == [hers["id"]]
    assert hers["id"] not in [job["id"] for job in (await api.json("GET", "/jobs"))["items"]]
    both = [job["id"] for job in (await api.json("GET", "/jobs?user=*"))["items"]]
    assert {mine["id"], hers["id"]} <= set(both)
    assert [job["id"] for job in (await api.json("GET", "/jobs?user=mary"))["items"]] == [hers["id"]]
    for method, path in [
        ("GET", f"/jobs/{mine['id']}"),
        ("GET", f"/jobs/{mine['id']}/workflow"),
        ("POST", f"/jobs/{mine['id']}/cancel"),
        ("POST", f"/jobs/{mine['id']}/retry"),
        ("DELETE", f"/jobs/{mine['id']}"),
        ("GET", f"/batches/{batch['id']}"),
        ("POST", f"/batches/{batch['id']}/cancel"),
    ]:
        theirs = await mary.json(method, path, 404)
        absent = await mary.json(method, path.replace(mine["id"], "x" * 32).replace(batch["id"], "x" * 32), 404)
        assert theirs["error"]["code"] == absent["error"]["code"] == "not_found"
    assert (await mary.json("GET", "/batches"))["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users"),
        ("DELETE", "/users/owner"),
        ("POST", "/users/owner/token"),
        ("POST", "/users/owner/link"),
        ("POST", "/queue/pause"),
        ("POST", "/queue/resume"),
        ("GET", "/jobs?user=owner"),
        ("GET", "/jobs?user=*"),
        ("GET", "/batches?user=owner"),
        ("GET", "/queue?user=*"),
        ("POST", "/queue/clear?user=*"),
        ("GET", "/jobs/export?user=*"),
    ],
)
async def test_what_is_for_admins_is_refused_to_others(mary: Any, method: str, path: str) -> None:
    assert (await mary.json(method, path, 403))["error"]["code"] == "not_admin"


async def test_a_saved_workflow_is_run_by_its_name(api: Any) -> None:
    await api("PUT", "/workflows/sums/one", 201, json=SUM, headers={"If-None-Match": "*"})
    job = await api.json("POST", "/jobs?wait=60", json={"workflow_name": "sums/one"})
    assert job["values"] == {"sum": 2}
    await api.json("POST", "/jobs", 404, json={"workflow_name": "sums/two"})
    await api.json("POST", "/jobs", 400, json={"workflow_name": "../../nodegraph.db"})


async def test_every_list_and_every_fixed_address_answers_as_the_document_has_it(api: Any) -> None:
    fixed = [
        path.removeprefix(API)
        for path, operations in api.document["paths"].items()
        if "get" in operations and "{" not in path and not path.endswith(("/events", "/revisions"))
    ]
    assert len(fixed) >= 14
    for path in fixed:
        await api("GET", path)


async def test_a_method_that_is_not_there_is_told_with_those_that_are(api: Any, client: Any) -> None:
    async with client.put("/api/v1/jobs") as response:
        assert response.status == 405
        assert {"GET", "POST"} <= set(response.headers["Allow"].replace(" ", "").split(","))


async def test_logging_out_without_a_session_is_no_error(api: Any) -> None:
    await api.json("POST", "/logout", 204)


async def test_requests_at_once_are_all_answered(api: Any) -> None:
    made = await asyncio.gather(*(api.json("POST", "/jobs", 201, json={"workflow": SUM}) for _ in range(20)))
    assert len({job["id"] for job in made}) == 20
    ended = await asyncio.gather(*(api.json("GET", f"/jobs/{job['id']}?wait=60") for job in made))
    assert {job["state"] for job in ended} == {"done"}


async def test_plugins_answer_below_their_own_address(api: Any) -> None:
    assert json.loads((await api("GET", "/plugins/good/divide/17?by=5")).body) == {"quotient": 3, "remainder": 2}
    echo = await api("POST", "/plugins/good/echo", 201, data=b"said")
    assert (echo.body, echo.headers["X-Content-Type-Options"]) == (b"said", "nosniff")
    await api("GET", "/plugins/good/nowhere", 404)
    await api("GET", "/plugins/nobody/divide/1", 404)
    await api.as_user("wrong")("GET", "/plugins/good/divide/17", 401)
