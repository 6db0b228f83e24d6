"""`/workflows`, `/revisions` and `/templates` as clients see them."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import pytest
from PIL import Image
from yarl import URL

WORKFLOWS, REVISIONS, TEMPLATES = "/api/v1/workflows", "/api/v1/revisions", "/api/v1/templates"
Client = aiohttp.ClientSession
NEW = {"If-None-Match": "*"}
JSON = {"Content-Type": "application/json"}


async def ask(client: Client, method: str, path: str, status: int, **options: Any) -> tuple[Any, Any]:
    """Ask, see that the status is the expected one, return JSON and headers."""
    async with client.request(method, path, **options) as response:
        text = await response.text()
        assert response.status == status, text
        return (await response.json() if text else None), response.headers


async def test_a_workflow_is_given_back_as_it_was_saved(client: Client) -> None:
    text = b'{ "nodes": {},\n "draft": [1.50, 12345678901234567] }'
    path = f"{WORKFLOWS}/portraits/first%20one"
    entry, headers = await ask(client, "PUT", path, 201, data=text, headers=NEW | JSON)
    assert (entry["name"], entry["revision"], headers["Location"]) == ("portraits/first one", 1, path)
    async with client.get(path) as response:
        assert await response.read() == text
        assert response.headers["ETag"] == f'"{entry["etag"]}"' == headers["ETag"]
        assert response.headers["Nodegraph-Revision"] == "1"
    async with client.get(path, headers={"If-None-Match": headers["ETag"]}) as response:
        assert response.status == 304
    listed, _ = await ask(client, "GET", WORKFLOWS, 200, params={"text": "PORTRAITS"})
    assert listed["items"] == [entry]


async def test_a_save_must_say_what_it_replaces(client: Client) -> None:
    path = f"{WORKFLOWS}/careful"
    error, _ = await ask(client, "PUT", path, 428, json={})
    assert error["error"]["code"] == "precondition_required"
    _, first = await ask(client, "PUT", path, 201, json={"x": 1}, headers=NEW)
    _, second = await ask(client, "PUT", path, 200, json={"x": 2}, headers={"If-Match": first["ETag"]})
    error, headers = await ask(client, "PUT", path, 412, json={"x": 3}, headers={"If-Match": first["ETag"]})
    assert error["error"]["code"] == "changed"
    assert "revision 2" in error["error"]["message"]
    assert (headers["ETag"], headers["Nodegraph-Revision"]) == (second["ETag"], "2")
    await ask(client, "PUT", path, 412, json={"x": 3}, headers=NEW)
    await ask(client, "PUT", path, 200, json={"x": 3}, headers={"If-Match": "*"})
    await ask(client, "PUT", path, 412, json={"x": 4}, headers={"If-Match": second["ETag"]})
    several = {"If-Match": f"{first['ETag']}, {second['ETag']}"}
    await ask(client, "PUT", path, 412, json={"x": 4}, headers=several)


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "unquoted"}, {"If-Match": 'W/"weak"'}, {"If-Match": ""}, {"If-None-Match": '"some"'},
        {"If-None-Match": "*", "If-Match": "*"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_condition_that_cannot_be_read_lets_nothing_through(
    client: Client, headers: dict[str, str], method: str
) -> None:
    path = f"{WORKFLOWS}/guarded"
    async with client.put(path, json={"x": 1}, headers=NEW) as response:
        assert response.status in (201, 412)
    error, _ = await ask(client, method, path, 400, json={"x": 2}, headers=headers)
    assert error["error"]["code"] == "bad_precondition"
    assert (await ask(client, "GET", path, 200))[0] == {"x": 1}


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"[]", JSON, 422),
        (b"{", JSON, 400),
        (b'{"a":1,"a":2}', JSON, 400),
        (b'{"a":NaN}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", JSON, 400),
        (b'{"a":"\\ud800"}', JSON, 400),
        (b"", JSON, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b" " * (8 * 2**20 + 1), JSON, 413),
    ],
)
async def test_what_is_no_document_is_not_saved(
    client: Client, data: bytes, headers: dict[str, str], status: int
) -> None:
    await ask(client, "PUT", f"{WORKFLOWS}/none", status, data=io.BytesIO(data), headers=NEW | headers)
    await ask(client, "GET", f"{WORKFLOWS}/none", 404)


@pytest.mark.parametrize("name", ["..%2fx", "%2e%2e%2f%2e%2e%2fx", ".revisions%2fx", "a%00b", "con", "x.json%2fy"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_name_that_leads_elsewhere_is_refused(client: Client, shared: Any, method: str, name: str) -> None:
    url = URL(f"{shared.url}{WORKFLOWS}/{name}", encoded=True)
    headers = NEW if method == "PUT" else {}
    async with client.request(method, url, json={} if method == "PUT" else None, headers=headers) as response:
        text = await response.text()
        assert response.status in (400, 404), text
        assert str(shared.data) not in text


async def test_revisions_are_listed_read_and_restored(client: Client) -> None:
    path, params = f"{WORKFLOWS}/folder/again", {"name": "folder/again"}
    _, first = await ask(client, "PUT", path, 201, json={"x": 1}, headers=NEW)
    await ask(client, "PUT", path, 200, json={"x": 2}, headers={"If-Match": first["ETag"]})
    await ask(client, "DELETE", path, 204)
    await ask(client, "GET", path, 404)
    found, _ = await ask(client, "GET", REVISIONS, 200, params=params)
    assert [(item["number"], "etag" in item) for item in found["items"]] == [(3, False), (2, True), (1, True)]
    deleted, _ = await ask(client, "GET", WORKFLOWS, 200, params={"deleted": "true", "text": "again"})
    assert [item["name"] for item in deleted["items"]] == ["folder/again"]
    assert (await ask(client, "GET", f"{REVISIONS}/1", 200, params=params))[0] == {"x": 1}
    entry, headers = await ask(client, "POST", f"{REVISIONS}/1/restore", 200, params=params)
    assert (entry["revision"], headers["ETag"]) == (4, first["ETag"])
    assert (await ask(client, "GET", path, 200))[0] == {"x": 1}
    stale = {"If-Match": '"stale"'}
    await ask(client, "POST", f"{REVISIONS}/2/restore", 412, params=params, headers=stale)
    for number in ("0", "3", "99", "-1", "x", "9" * 30):
        await ask(client, "GET", f"{REVISIONS}/{number}", 404, params=params)


async def test_users_do_not_see_each_others_workflows(client: Client, ada: Client) -> None:
    await ask(client, "PUT", f"{WORKFLOWS}/private", 201, json={}, headers=NEW)
    await ask(ada, "GET", f"{WORKFLOWS}/private", 404)
    await ask(ada, "GET", REVISIONS, 404, params={"name": "private"})
    await ask(ada, "DELETE", f"{WORKFLOWS}/private", 404)
    assert (await ask(ada, "GET", WORKFLOWS, 200))[0]["items"] == []


async def test_templates_are_listed_and_read(client: Client) -> None:
    listed, _ = await ask(client, "GET", TEMPLATES, 200)
    found = {item["name"]: item for item in listed["items"]}
    assert {"text_to_image", "image_to_image"} <= set(found)
    assert "prompt" in found["text_to_image"]["inputs"]
    assert found["text_to_image"]["title"] == "Text to image"
    for item in found.values():
        assert item["description"]
        async with client.get(item["thumbnail"]) as response:
            assert response.headers["Content-Type"] == "image/webp"
            picture = Image.open(io.BytesIO(await response.read()))
            assert picture.size == (256, 256)
            assert len(picture.convert("RGB").getcolors(2**16) or ()) > 2
    document, headers = await ask(client, "GET", f"{TEMPLATES}/text_to_image", 200)
    assert len(document["nodes"]) == found["text_to_image"]["nodes"]
    async with client.get(f"{TEMPLATES}/text_to_image", headers={"If-None-Match": headers["ETag"]}) as response:
        assert response.status == 304
    for name in ("none", "..%2f..%2fpyproject", "example.png"):
        async with client.get(f"{TEMPLATES}/{name}") as response:
            assert response.status == 404


async def test_a_workflow_of_another_form_is_read_and_not_saved(client: Client) -> None:
    foreign = {
        "3": {"class_type": "KSampler", "inputs": {"seed": 2**64 - 1, "model": ["4", 0]}, "_meta": {"title": "Turn"}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
        "5": {"class_type": "OfAPackThatIsNotHere", "inputs": {"samples": ["3", 0], "text": "kept"}},
        "6": "no node",
    }
    before, _ = await ask(client, "GET", WORKFLOWS, 200)
    for document in (foreign, {"prompt": foreign, "client_id": "x"}):
        told, _ = await ask(client, "POST", f"{WORKFLOWS}/read", 200, json={"workflow": document})
        nodes = told["workflow"]["nodes"]
        assert told["format"] == "comfyui"
        assert nodes["3"] == {"type": "KSampler", "params": {"seed": 2**64 - 1}, "links": {"model": "4.model"}}
        assert nodes["5"]["params"] == {"text": "kept"}
        assert [problem["node"] for problem in told["problems"]] == ["6"]
    assert (await ask(client, "GET", WORKFLOWS, 200))[0] == before


async def test_our_own_form_is_read_as_it_is_and_what_is_none_is_refused(client: Client) -> None:
    own = {"format": 1, "nodes": {"a": {"type": "LoadImage", "mode": "mute"}}, "view": {"a": {"x": 1, "y": 2}}}
    told, _ = await ask(client, "POST", f"{WORKFLOWS}/read", 200, json={"workflow": own})
    assert told == {"format": "nodegraph", "workflow": own, "problems": []}
    none: list[dict[str, Any]] = [{}, {"nodes": [], "links": []}, {"format": 2, "nodes": {}}]
    for wrong in none:
        error, _ = await ask(client, "POST", f"{WORKFLOWS}/read", 422, json={"workflow": wrong})
        assert error["error"]["code"] == "invalid_workflow"
