"""What an editor saves by itself: it is not lost, and does not push out what somebody saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodegraph.server import workflows as module
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import Workflows

NEW: frozenset[str] = frozenset()


class Clock:
    """A time that a test sets; files keep their own."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def saved(tmp_path: Path, clock: Clock) -> Workflows:
    return Workflows(Settings(data=tmp_path))


async def texts(saved: Workflows, name: str = "x") -> list[bytes]:
    """Return the texts of all revisions, newest first."""
    return [await saved.revision("owner", name, found.number) for found in await saved.revisions("owner", name)]


async def put(saved: Workflows, text: bytes, *, auto: bool, name: str = "x") -> None:
    await saved.save("owner", name, text, None, auto=auto)


async def test_what_is_saved_by_itself_takes_the_place_of_what_was_saved_so_before(saved: Workflows) -> None:
    await put(saved, b"mine", auto=False)
    for text in (b"a", b"b", b"c"):
        await put(saved, text, auto=True)
    assert await texts(saved) == [b"c", b"mine"]
    assert (await saved.read("owner", "x")).data == b"c"
    assert [found.since is None for found in await saved.revisions("owner", "x")] == [False, True]
    await put(saved, b"mine too", auto=False)
    await put(saved, b"d", auto=True)
    assert await texts(saved) == [b"d", b"mine too", b"c", b"mine"]


async def test_revisions_count_on(saved: Workflows) -> None:
    first, _ = await saved.save("owner", "x", b"a", NEW, auto=True)
    second, _ = await saved.save("owner", "x", b"b", {first.etag}, auto=True)
    assert (first.revision, second.revision) == (1, 2)


async def test_every_ten_minutes_one_stays(saved: Workflows, clock: Clock) -> None:
    for minute in range(31):
        clock.now = 1_800_000_000.0 + 60 * minute
        await put(saved, f"{minute}".encode(), auto=True)
    assert await texts(saved) == [b"30", b"29", b"19", b"9"]


async def test_what_is_then_saved_by_somebody_stays(saved: Workflows) -> None:
    await put(saved, b"a", auto=True)
    await put(saved, b"a", auto=False)  # nothing has changed but that it is meant
    await put(saved, b"b", auto=True)
    assert await texts(saved) == [b"b", b"a"]
    assert (await saved.revisions("owner", "x"))[1].since is None


async def test_a_deletion_keeps_what_was_saved_by_itself(saved: Workflows) -> None:
    await put(saved, b"a", auto=True)
    await saved.delete("owner", "x")
    await put(saved, b"b", auto=True)
    assert await saved.revision("owner", "x", 1) == b"a"
    assert (await saved.restore("owner", "x", 1)).revision == 4


async def test_a_process_that_dies_between_two_leaves_one_revision_too_many(saved: Workflows, tmp_path: Path) -> None:
    await put(saved, b"a", auto=True)
    folder = tmp_path / "workflows" / ".revisions" / "x.json"
    (before,) = folder.iterdir()
    text = before.read_bytes()
    await put(saved, b"b", auto=True)
    before.write_bytes(text)
    assert await texts(saved) == [b"b", b"a"]
    await put(saved, b"c", auto=True)
    assert await texts(saved) == [b"c", b"a"]


async def test_drafts_are_listed_by_themselves_and_keep_less(saved: Workflows, clock: Clock) -> None:
    await put(saved, b"1", auto=False, name="picture")
    for number in range(30):
        clock.now += 3600
        await put(saved, f"{number}".encode(), auto=True, name="drafts/tab 1")
    assert [entry.name for entry in await saved.list("owner")] == ["picture"]
    assert [entry.name for entry in await saved.list("owner", drafts=True)] == ["drafts/tab 1"]
    assert len(await texts(saved, "drafts/tab 1")) == module.KEPT_OF_DRAFT
    await saved.delete("owner", "drafts/tab 1")
    assert await saved.list("owner", deleted=True) == ()
    assert [entry.name for entry in await saved.list("owner", deleted=True, drafts=True)] == ["drafts/tab 1"]


async def test_clients_say_what_is_saved_by_itself(client: aiohttp.ClientSession) -> None:
    async def ask(method: str, path: str, **options: Any) -> Any:
        async with client.request(method, f"/api/v1{path}", **options) as response:
            assert response.status in (200, 201), await response.text()
            return await response.json()

    for number, auto in enumerate(("false", "true", "true")):
        headers = {"If-None-Match": "*"} if number == 0 else {"If-Match": "*"}
        await ask("PUT", f"/workflows/drafts/one?autosave={auto}", json={"x": number}, headers=headers)
    revisions = (await ask("GET", "/revisions?name=drafts/one"))["items"]
    assert [(found["number"], found["autosave"]) for found in revisions] == [(3, True), (1, False)]
    assert "drafts/one" not in [found["name"] for found in (await ask("GET", "/workflows"))["items"]]
    assert [found["name"] for found in (await ask("GET", "/workflows?drafts=true"))["items"]] == ["drafts/one"]
