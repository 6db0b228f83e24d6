"""What changes files and workflows is told to the user's other clients, and to nobody else."""

from __future__ import annotations

import json
from typing import Any, Protocol

import pytest

from nodegraph.server.files.paths import user_folder
from nodegraph.server.hub import Subscription
from nodegraph.server.keys import HUB, STORE
from nodegraph.server.records import Output, Submission
from nodegraph.server.ring import Entry
from nodegraph.server.security.principal import Principal


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


def lines(entries: list[Entry]) -> bytes:
    return b"\n".join(entry.line for entry in entries)


def told(stream: Subscription) -> list[tuple[str, Any]]:
    """Return the types and data of the events that a stream has got since."""
    found = []
    while (frame := stream.frame(lines)) is not None:
        found += [(event["type"], event["data"]) for event in map(json.loads, frame.splitlines())]
    return found


@pytest.fixture
async def streams(served: Any) -> tuple[Subscription, Subscription]:
    hub = served.app[HUB]
    return hub.subscribe(Principal("owner", admin=True)), hub.subscribe(Principal("ada"))


async def test_uploads_and_removals_are_told(served: Any, streams: Any, picture: Picture) -> None:
    mine, others = streams
    for status in (201, 200):
        await served.json("POST", "/api/v1/files?name=a/x.png", status, data=picture())
    await served.json("DELETE", "/api/v1/files/a%5C%5Cx.png", 204)  # another way to write it
    served.app[HUB].flush()
    files = [event for event in told(mine) if event[0].startswith("file.")]
    assert files == [("file.added", {"name": "a/x.png"}), ("file.removed", {"name": "a/x.png"})]
    assert not [event for event in told(others) if event[0].startswith("file.")]


async def test_saved_and_deleted_workflows_are_told(served: Any, streams: Any) -> None:
    mine, others = streams
    path = "/api/v1/workflows/a/b.json"
    await served.json("PUT", path, 201, json={}, headers={"If-None-Match": "*"})
    await served.json("DELETE", "/api/v1/workflows/a%5Cb", 204)
    await served.json("POST", "/api/v1/revisions/1/restore?name=a/b", 200)
    await served.json("DELETE", path, 412, headers={"If-Match": '"other"'})
    served.app[HUB].flush()
    events = [event for event in told(mine) if event[1].get("name") == "a/b"]
    assert [event[0] for event in events] == ["workflow.saved", "workflow.deleted", "workflow.saved"]
    now = await served.json("GET", "/api/v1/workflows")
    assert events[-1][1] == {**now["items"][0], "deleted": False}  # whose save it was can be told by the ETag
    assert not [event for event in told(others) if event[0].startswith("workflow.")]


async def test_a_removed_output_is_told_to_whose_it_was(served: Any, streams: Any, picture: Picture) -> None:
    mine, others = streams
    store = served.app[STORE]
    (job,) = await store.add("ada", [Submission(document=b"{}")])
    given = Output(id="", seq=0, job=job.id, user="ada", node="save", ordinal=0, name="x.png", media="image/png")
    row = await store.reserve_output(given)
    folder = user_folder(served.settings.data, "ada", "output")
    folder.mkdir(parents=True)
    (folder / "x.png").write_bytes(picture())
    await store.settle_output(row.id, "x.png", 1)
    await served.json("DELETE", f"/api/v1/outputs/{row.id}", 204)
    served.app[HUB].flush()
    removed = [data for type, data in told(others) if type == "output.removed"]
    assert [(data["id"], data["job"], data["name"]) for data in removed] == [(row.id, job.id, "x.png")]
    assert not [event for event in told(mine) if event[0] == "output.removed"]
