"""Saved workflows: no update is lost, nothing is half written, other programs may write too."""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.server import workflows as module
from nodegraph.server.errors import ApiError
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import ANY, Workflows

NEW: frozenset[str] = frozenset()


@pytest.fixture
def saved(tmp_path: Path) -> Workflows:
    return Workflows(Settings(data=tmp_path))


async def refused(work: object, status: int) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work  # type: ignore[misc]
    assert caught.value.status == status
    return caught.value


async def test_each_save_is_a_revision(saved: Workflows, tmp_path: Path) -> None:
    entry, new = await saved.save("owner", "a/b", b"{}", NEW)
    assert (entry.name, entry.revision, new) == ("a/b", 1, True)
    entry, new = await saved.save("owner", "a/b.json", b'{"x":1}', {entry.etag})
    assert (entry.name, entry.revision, new) == ("a/b", 2, False)
    assert (tmp_path / "workflows" / "a" / "b.json").read_bytes() == b'{"x":1}'
    assert [revision.number for revision in await saved.revisions("owner", "a/b")] == [2, 1]
    assert await saved.revision("owner", "a/b", 1) == b"{}"
    again, new = await saved.save("owner", "a/b", b'{"x":1}', {entry.etag})
    assert (again.revision, new) == (2, False)


async def test_a_lost_update_is_refused_with_what_is_there_now(saved: Workflows) -> None:
    first, _ = await saved.save("owner", "x", b"1", NEW)
    second, _ = await saved.save("owner", "x", b"2", {first.etag})
    error = await refused(saved.save("owner", "x", b"3", {first.etag}), 412)
    assert error.headers == {"ETag": f'"{second.etag}"', "Nodegraph-Revision": "2"}
    assert error.problems[0]["expected"] == second.etag
    await refused(saved.save("owner", "x", b"3", NEW), 412)
    await refused(saved.save("owner", "y", b"3", {ANY}), 412)
    await refused(saved.delete("owner", "x", {first.etag}), 412)
    assert (await saved.read("owner", "x")).data == b"2"


async def test_of_many_that_save_at_once_one_wins(saved: Workflows) -> None:
    first, _ = await saved.save("owner", "x", b"first", NEW)
    calls = (saved.save("owner", "x", f"{number}".encode(), {first.etag}) for number in range(20))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert len(await saved.revisions("owner", "x")) == 2


async def test_a_deleted_workflow_can_be_restored(saved: Workflows) -> None:
    entry, _ = await saved.save("owner", "x", b"1", NEW)
    await saved.delete("owner", "x", {entry.etag})
    await refused(saved.read("owner", "x"), 404)
    await refused(saved.delete("owner", "x"), 404)
    assert await saved.list("owner") == ()
    (deleted,) = await saved.list("owner", deleted=True)
    assert (deleted.name, deleted.revision, deleted.deleted) == ("x", 1, True)
    assert [revision.etag for revision in await saved.revisions("owner", "x")] == [None, entry.etag]
    await refused(saved.revision("owner", "x", 2), 404)
    restored = await saved.restore("owner", "x", 1)
    assert (restored.revision, restored.etag) == (3, entry.etag)
    assert await saved.list("owner", deleted=True) == ()
    await refused(saved.restore("owner", "x", 99), 404)
    await refused(saved.revisions("owner", "never"), 404)


async def test_what_another_program_writes_is_a_revision_too(saved: Workflows, tmp_path: Path) -> None:
    await saved.save("owner", "x", b"1", NEW)
    (tmp_path / "workflows" / "x.json").write_bytes(b"edited")
    now = await saved.read("owner", "x")
    assert (now.revision, now.data) == (2, b"edited")
    assert await saved.revision("owner", "x", 2) == b"edited"
    entry, _ = await saved.save("owner", "x", b"3", {now.etag})
    assert entry.revision == 3
    assert await saved.revision("owner", "x", 2) == b"edited"
    (tmp_path / "workflows" / "copied.json").write_bytes(b"{}")
    (tmp_path / "workflows" / "x.json").unlink()
    assert [entry.name for entry in await saved.list("owner")] == ["copied"]
    assert [entry.name for entry in await saved.list("owner", deleted=True)] == ["x"]
    assert (await saved.restore("owner", "x", 2)).revision == 4


async def test_lists_follow_changes(saved: Workflows, tmp_path: Path) -> None:
    for name in ("b", "A", "folder/c"):
        await saved.save("owner", name, name.encode(), NEW)
    first = await saved.list("owner")
    assert [(entry.name, entry.revision) for entry in first] == [("A", 1), ("b", 1), ("folder/c", 1)]
    assert first == await saved.list("owner")
    path = tmp_path / "workflows" / "b.json"
    path.write_bytes(b"B")
    os.utime(path, ns=(5, 5))
    (changed,) = [entry for entry in await saved.list("owner") if entry.name == "b"]
    assert (changed.etag, changed.revision) == (sha256(b"B").hexdigest(), 2)


async def test_users_have_workflows_of_their_own(saved: Workflows) -> None:
    await saved.save("owner", "x", b"1", NEW)
    await refused(saved.read("ada", "x"), 404)
    await saved.save("ada", "x", b"hers", NEW)
    assert (await saved.read("owner", "x")).data == b"1"


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/../../x", ".revisions/x", "CON", "a\0b", "x.json/y", "x" * 300, "", "a:b", ".json", "a/ /b"],
)
async def test_names_that_lead_elsewhere_are_refused(saved: Workflows, tmp_path: Path, name: str) -> None:
    await refused(saved.save("owner", name, b"{}", NEW), 400)
    await refused(saved.read("owner", name), 400)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_links_that_leave_are_not_there(saved: Workflows, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(b"secret")
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "link.json").symlink_to(tmp_path / "secret.json")
    (tmp_path / "workflows" / "out").symlink_to(tmp_path)
    assert await saved.list("owner") == ()
    await refused(saved.read("owner", "link"), 404)
    await refused(saved.save("owner", "out/secret", b"{}", NEW), 404)
    assert (tmp_path / "secret.json").read_bytes() == b"secret"


async def test_a_folder_and_a_document_of_one_name_go_together(saved: Workflows) -> None:
    await saved.save("owner", "a", b"1", NEW)
    await saved.save("owner", "a/b", b"2", NEW)
    assert (await saved.read("owner", "a")).data == b"1"
    assert (await saved.read("owner", "a/b")).data == b"2"


async def test_old_revisions_give_way(saved: Workflows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    await saved.save("owner", "x", b"0", NEW)
    for number in range(1, 6):
        await saved.save("owner", "x", str(number).encode(), {ANY})
    assert [revision.number for revision in await saved.revisions("owner", "x")] == [6, 5, 4]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("at", range(1, 5))
async def test_a_disk_that_fails_loses_nothing(
    saved: Workflows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int
) -> None:
    entry, _ = await saved.save("owner", "x", b"old", NEW)
    calls = 0

    def full(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(28, "No space left on device")
        original(*arguments)

    owner: object = os if call == "fsync" else Path
    original = getattr(owner, call)
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        result = (await asyncio.gather(saved.save("owner", "x", b"new", {entry.etag}), return_exceptions=True))[0]
    failed = isinstance(result, BaseException)
    assert failed is (calls >= at)
    if failed:
        assert isinstance(result, ApiError)
        assert result.status == 507
    now = await saved.read("owner", "x")
    assert now.data in ((b"old", b"new") if failed else (b"new",))
    await saved.save("owner", "x", b"newest", {now.etag})
    kept = [await saved.revision("owner", "x", found.number) for found in await saved.revisions("owner", "x")]
    assert kept[0] == b"newest"
    assert kept[-1] == b"old"
    assert now.data in kept
    assert [path.name for path in tmp_path.rglob(".part-*")] == []


texts = st.sampled_from([b"0", b"1", b"2", b"3"])
steps = st.lists(st.tuples(st.sampled_from(["save", "delete", "edit", "unlink"]), texts), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_is_done_each_saved_text_can_be_had_back(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    asyncio.run(_do(Workflows(Settings(data=folder)), folder / "workflows" / "x.json", done))


async def _do(saved: Workflows, path: Path, done: list[tuple[str, bytes]]) -> None:
    texts, now = set(), None
    for what, text in done:
        if what == "save":
            await saved.save("owner", "x", text, None)
            texts.add(text)
            now = text
        elif what == "edit" and now is not None:
            path.write_bytes(text)
            now = text
        elif now is not None:
            await saved.delete("owner", "x") if what == "delete" else path.unlink()
            now = None
        found = await saved.revisions("owner", "x") if texts else ()
        kept = {await saved.revision("owner", "x", one.number) for one in found if one.etag is not None}
        assert texts <= kept
        assert now is None or (await saved.read("owner", "x")).data == now
        assert len({one.number for one in found}) == len(found)
