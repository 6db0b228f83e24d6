"""Files, outputs and saved workflows answer as the document has it."""

from __future__ import annotations

from typing import Any

SAVE = {"format": 1, "nodes": {"save": {"type": "faults.Save", "params": {"filename_prefix": "fit", "size": 32}}}}


async def test_outputs_and_uploads_go_round(api: Any) -> None:
    job = await api.json("POST", "/jobs?wait=60", json={"workflow": SAVE})
    (output,) = (await api.json("GET", f"/outputs?job={job['id']}"))["items"]
    assert output["id"] == job["outputs"][0]["id"]
    whole = await api("GET", f"/outputs/{output['id']}")
    assert whole.body.startswith(b"\x89PNG")
    await api("GET", f"/outputs/{output['id']}", 206, headers={"Range": "bytes=0-7"})
    await api("GET", f"/outputs/{output['id']}", 304, headers={"If-None-Match": whole.headers["ETag"]})
    await api("GET", f"/outputs/{output['id']}/thumbnail?size=64")
    png = {"Content-Type": "application/octet-stream"}
    first = await api.json("POST", "/files?name=shape.png", 201, data=whole.body, headers=png)
    await api.json("POST", "/files?name=shape.png", 200, data=whole.body, headers=png)
    await api.json("POST", "/files?name=page.png", 415, data=b"<html></html>", headers=png)
    assert first["name"] in [file["name"] for file in (await api.json("GET", "/files"))["items"]]
    await api("GET", f"/files/{first['name']}")
    await api("GET", "/files/nowhere.png", 404)
    await api("DELETE", f"/files/{first['name']}", 204)
    await api("DELETE", f"/outputs/{output['id']}", 204)
    await api("GET", f"/outputs/{output['id']}", 404)


async def test_workflows_and_their_revisions_go_round(api: Any) -> None:
    path = "/workflows/fit/one"
    made = await api("PUT", path, 201, json=SAVE, headers={"If-None-Match": "*"})
    await api("PUT", path, 428, json=SAVE)
    await api("PUT", path, 412, json=SAVE, headers={"If-None-Match": "*"})
    await api("PUT", path, 412, json=SAVE, headers={"If-Match": '"other"'})
    changed = await api("PUT", path, 200, json={**SAVE, "view": {}}, headers={"If-Match": made.headers["ETag"]})
    assert changed.headers["ETag"] != made.headers["ETag"]
    assert (await api("GET", path)).headers["ETag"] == changed.headers["ETag"]
    await api("GET", path, 304, headers={"If-None-Match": changed.headers["ETag"]})
    assert "fit/one" in [entry["name"] for entry in (await api.json("GET", "/workflows"))["items"]]
    assert len((await api.json("GET", "/revisions?name=fit/one"))["items"]) == 2
    await api("DELETE", path, 204, headers={"If-Match": changed.headers["ETag"]})
    await api("GET", path, 404)


async def test_templates_go_out(api: Any) -> None:
    (template, *_) = (await api.json("GET", "/templates"))["items"]
    assert "nodes" in await api.json("GET", f"/templates/{template['name']}")
    await api("GET", "/templates/nowhere", 404)
