"""`/events` of the real server: who may listen to what, and that all that is told fits its models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodegraph.server.api.event_models import JOB_EVENTS, SERVER_MESSAGES
from nodegraph.server.keys import HUB
from nodegraph.server.serve import running
from nodegraph.server.settings import Settings

Serve = Callable[..., Any]
EVENTS = "/api/v1/events"
WORK = {
    "workflow": {
        "format": 1,
        "nodes": {
            "sleep": {"type": "faults.Sleep", "params": {"seconds": 0.3, "steps": 3}},
            "show": {"type": "faults.Preview", "params": {"count": 5, "seconds": 1.0}},
            "save": {"type": "faults.Save", "params": {"text": "hello"}},
        },
    },
    "targets": ["sleep", "show", "save"],
}


async def follow(ws: aiohttp.ClientWebSocketResponse, last: str) -> tuple[list[Any], list[bytes]]:
    """Read until an event of this type; return all messages, checked against their models, and the previews."""
    messages: list[Any] = []
    previews: list[bytes] = []
    async with asyncio.timeout(60):
        async for message in ws:
            if message.type == aiohttp.WSMsgType.BINARY:
                previews.append(message.data)
                continue
            told = json.loads(message.data)
            SERVER_MESSAGES.validate_json(message.data)
            messages.append(told)
            if told["type"] == "events" and any(event["type"] == last for event in told["events"]):
                return messages, previews
    raise AssertionError(f"the stream ended before {last}")


async def test_a_job_is_told_from_its_acceptance_to_its_end(served: Any) -> None:
    async with served.session.ws_connect(f"{served.url}{EVENTS}?previews=true") as ws:
        job = await served.json("POST", "/api/v1/jobs", 201, json=WORK)
        messages, previews = await follow(ws, "job.done")
    assert [message["type"] for message in messages[:2]] == ["hello", "snapshot"]
    events = [event for message in messages[2:] for event in message["events"]]
    for event in events:
        JOB_EVENTS.validate_json(json.dumps(event), strict=True)
    mine = [event for event in events if event.get("job") == job["id"]]
    types = [event["type"] for event in mine]
    assert [name for name in types if name.startswith("job.")] == ["job.queued", "job.running", "job.done"]
    assert {"node.running", "node.progress", "node.finished", "output.added"} <= set(types)
    assert types.index("output.added") < types.index("job.done")
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    assert previews
    length = int.from_bytes(previews[0][:4], "big")
    assert json.loads(previews[0][4 : 4 + length])["node"] == "show"


async def test_events_stand_as_server_sent_events_too(served: Any) -> None:
    async with served.session.get(f"{served.url}{EVENTS}") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        text = b""
        while b'"type":"snapshot"' not in text:
            text += await asyncio.wait_for(response.content.readline(), 5)
        served.app[HUB].publish("nodes.changed", {}, user=None)
        while b'"type":"nodes.changed"' not in text:
            text += await asyncio.wait_for(response.content.readline(), 5)


async def test_a_stranger_and_a_foreign_page_get_no_stream(served: Any) -> None:
    async with aiohttp.ClientSession() as stranger:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await stranger.ws_connect(served.url + EVENTS, headers=headers)
            assert refused.value.status == 401
    for origin in ("http://evil.com", "null", "http://127.0.0.1:99999"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.session.ws_connect(served.url + EVENTS, headers={"Origin": origin})
        assert refused.value.status == 403
    assert served.app[HUB].streams == 0


async def test_only_an_admin_may_listen_to_everybody(served: Any) -> None:
    made = await served.json("POST", "/api/v1/users", 201, json={"name": "bob"})
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with aiohttp.ClientSession(headers=headers) as bob:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await bob.ws_connect(f"{served.url}{EVENTS}?all=true")
        assert refused.value.status == 403
        async with (
            bob.ws_connect(served.url + EVENTS) as his,
            served.session.ws_connect(served.url + EVENTS) as mine,
            served.session.ws_connect(f"{served.url}{EVENTS}?all=true") as every,
        ):
            hub = served.app[HUB]
            hub.publish("workflow.saved", {"name": "his"}, user="bob")
            hub.publish("workflow.saved", {"name": "mine"}, user="owner")
            hub.publish("nodes.changed", {}, user=None)
            names = []
            for ws in (his, mine, every):
                messages, _ = await follow(ws, "nodes.changed")
                events = [event for message in messages[2:] for event in message["events"]]
                names.append([event["data"]["name"] for event in events if event["type"] == "workflow.saved"])
            assert names == [["his"], ["mine"], ["his", "mine"]]
            await served.json("DELETE", "/api/v1/users/bob", 204)
            while (message := await his.receive(5)).type == aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_a_server_that_stops_tells_its_clients_and_is_not_held_up_by_them(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=0, devices=("cpu",), preload=False, grace=2.0, reserve=0)
    async with running(settings) as server:
        headers = {"Authorization": f"Bearer {server.token}"}
        session = aiohttp.ClientSession(headers=headers)
        read = await session.ws_connect(server.url + EVENTS)
        unread = await session.ws_connect(server.url + EVENTS)
        listener = await session.get(server.url + EVENTS)
        while server.app[HUB].streams < 3:
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 6
    while (message := await read.receive(5)).type == aiohttp.WSMsgType.TEXT:
        pass
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    await asyncio.wait_for(listener.content.read(), 5)
    listener.close()
    await unread.close()
    await session.close()


@pytest.mark.parametrize("query", ["previews=maybe", "since=" + "1" * 200, "job=" + "x" * 101, "unknown=1"])
async def test_a_query_that_does_not_fit_is_refused(served: Any, query: str) -> None:
    answer = await served.json("GET", f"{EVENTS}?{query}", 422)
    assert answer["error"]["problems"][0]["field"].startswith(query.partition("=")[0])


async def test_what_signatures_need_is_told_to_admins(serve: Serve) -> None:
    served = await serve(webhooks=("hooks.example.com",))
    told = await served.json("GET", "/api/v1/webhooks")
    assert told["hosts"] == ["hooks.example.com"]
    assert told["secret"].startswith("whsec_")
    work = {**WORK, "webhook": "https://evil.com/"}
    answer = await served.json("POST", "/api/v1/jobs", 422, json=work)
    assert answer["error"]["problems"][0]["field"] == "webhook"
