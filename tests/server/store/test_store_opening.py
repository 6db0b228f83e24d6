"""Opening the store: damaged, held by another, older, newer, none of ours."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.server.records import Job, Submission
from nodegraph.server.store.errors import NewerStoreError, StoreBusyError, StoreError
from nodegraph.server.store.opening import open_file
from nodegraph.server.store.schema import APPLICATION, STEPS
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN EXCLUSIVE")
connection.execute("UPDATE settings SET value = value")
print("held", flush=True)
sys.stdin.read()
"""


async def made(folder: Path, submit: Submit, count: int = 300) -> list[Job]:
    """Make a store with jobs and close it."""
    store = await Store.open(folder)
    jobs = await store.add("owner", [submit(f"prompt {number}") for number in range(count)])
    await store.put("key", 1)
    await store.close()
    return jobs


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def junk(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def page_overwritten(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 8192)


def short(path: Path) -> None:
    path.write_bytes(b"not a database")


@pytest.mark.parametrize("harm", [junk, zeros, cut, page_overwritten, short])
async def test_a_damaged_file_is_put_aside_and_told(
    tmp_path: Path, submit: Submit, harm: Callable[[Path], None]
) -> None:
    await made(tmp_path, submit)
    path = tmp_path / "nodegraph.db"
    for number in (1, 2):
        harm(path)
        (tmp_path / "nodegraph.db-wal").write_bytes(b"a log of before")
        harmed = path.read_bytes()
        store = await Store.open(tmp_path)
        assert store.notice is not None
        assert f"nodegraph.db.damaged-{number}" in store.notice
        assert (tmp_path / f"nodegraph.db.damaged-{number}").read_bytes() == harmed
        (job,) = await store.add("owner", [submit()])
        await store.close()
        again = await Store.open(tmp_path)
        assert again.notice is None
        assert await again.pending() == [job]
        await again.add("owner", [submit(f"prompt {number}") for number in range(300)])
        await again.close()


async def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "nodegraph.db").touch()
    store = await Store.open(tmp_path)
    assert (store.notice, await store.counts()) == (None, {})
    await store.close()


async def test_a_lost_index_of_the_log_is_made_again(tmp_path: Path, submit: Submit) -> None:
    store = await Store.open(tmp_path / "a")
    jobs = await store.add("owner", [submit() for _ in range(5)])
    (tmp_path / "b").mkdir()
    for suffix in ("", "-wal"):
        (tmp_path / "b" / f"nodegraph.db{suffix}").write_bytes((tmp_path / "a" / f"nodegraph.db{suffix}").read_bytes())
    (tmp_path / "b" / "nodegraph.db-shm").write_bytes(os.urandom(32768))
    await store.close()
    copy = await Store.open(tmp_path / "b")
    assert copy.notice is None
    assert await copy.pending() == jobs
    await copy.close()


@pytest.mark.parametrize("pragma", ["PRAGMA locking_mode = EXCLUSIVE", "PRAGMA busy_timeout = 0"])
async def test_a_store_that_another_process_holds_is_waited_for_then_named(
    tmp_path: Path, submit: Submit, pragma: str
) -> None:
    await made(tmp_path, submit, 1)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "nodegraph.db"), pragma]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match="the store is held by ") as caught:
            await Store.open(tmp_path, busy_seconds=0.3)
        assert 0.25 < time.monotonic() - began < 3
        if Path("/proc/locks").exists() and str(holder.pid) in Path("/proc/locks").read_text(encoding="ascii"):
            assert f"process {holder.pid} (" in str(caught.value)
        holder.stdin.close()
        holder.wait(10)
    store = await Store.open(tmp_path)
    assert len(await store.pending()) == 1
    await store.close()


async def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path, submit: Submit) -> None:
    await made(tmp_path, submit, 1)
    path = tmp_path / "nodegraph.db"
    change(path, "PRAGMA user_version = 99", "UPDATE meta SET value = '9.8.7' WHERE key = 'written_by'")
    before = path.read_bytes()
    with pytest.raises(
        NewerStoreError, match=r"written by nodegraph 9\.8\.7 \(schema 99\).*install that version again"
    ):
        await Store.open(tmp_path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["nodegraph.db"]
    assert (await Store.examine(tmp_path)).version == 99


async def test_an_older_store_is_backed_up_and_migrated(tmp_path: Path, submit: Submit) -> None:
    jobs = await made(tmp_path, submit, 3)
    path = tmp_path / "nodegraph.db"
    step = ("ALTER TABLE jobs ADD COLUMN mark TEXT", "UPDATE jobs SET mark = 'm' || seq")
    opened = open_file(path, steps=(*STEPS, step))
    assert opened.version == len(STEPS) + 1
    marks = opened.connection.execute("SELECT id, mark FROM jobs ORDER BY seq").fetchall()
    assert marks == [(job.id, f"m{job.seq}") for job in jobs]
    opened.connection.close()
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.name == f"nodegraph-schema-{len(STEPS)}-1.db"
    (tmp_path / "old").mkdir()
    backup.rename(tmp_path / "old" / "nodegraph.db")
    old = await Store.open(tmp_path / "old")
    assert await old.pending() == jobs
    await old.close()
    with pytest.raises(NewerStoreError):
        await Store.open(tmp_path)


@pytest.mark.parametrize(
    "last",
    [
        "UPDATE no_such_table SET a = 1",
        "INSERT INTO reports VALUES (4711, x'00')",  # of a job that is not there
    ],
)
async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, submit: Submit, last: str) -> None:
    jobs = await made(tmp_path, submit, 3)
    with pytest.raises(StoreError):
        open_file(tmp_path / "nodegraph.db", steps=(*STEPS, ("DROP TABLE outputs", last)))
    store = await Store.open(tmp_path)
    assert await store.pending() == jobs
    assert (await store.outputs()).items == ()
    await store.close()


async def test_somebody_elses_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "nodegraph.db"
    change(path, "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)")
    with pytest.raises(StoreError, match="none of nodegraph's"):
        await Store.open(tmp_path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM theirs").fetchall() == [(1,)]
    connection.close()


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"file/nodegraph\.db cannot be used"):
        await Store.open(tmp_path / "file")
    (tmp_path / "nodegraph.db").mkdir()
    with pytest.raises(StoreError):
        await Store.open(tmp_path)


async def test_a_look_changes_nothing(tmp_path: Path, submit: Submit) -> None:
    assert (await Store.examine(tmp_path)).version == 0
    assert list(tmp_path.iterdir()) == []
    await made(tmp_path, submit)
    store = await Store.open(tmp_path)
    found = await Store.examine(tmp_path)
    assert (found.version, found.newest, found.problems) == (len(STEPS), len(STEPS), ())
    assert found.written_by[0].isdecimal()
    await store.close()
    page_overwritten(tmp_path / "nodegraph.db")
    before = (tmp_path / "nodegraph.db").read_bytes()
    assert (await Store.examine(tmp_path)).problems
    junk(tmp_path / "nodegraph.db")
    assert (await Store.examine(tmp_path)).problems == ("file is not a database",)
    assert before != (tmp_path / "nodegraph.db").read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["nodegraph.db"]


async def test_a_backup_is_a_store(store: Store, submit: Submit, tmp_path: Path) -> None:
    jobs = await store.add("owner", [submit() for _ in range(20)])
    target = tmp_path / "backups" / "nodegraph.db"
    await store.backup(target)
    await store.add("owner", [submit()])
    assert target.stat().st_mode & 0o077 == 0
    assert [each.name for each in target.parent.iterdir()] == ["nodegraph.db"]
    copy = await Store.open(target.parent)
    assert await copy.pending() == jobs
    await copy.close()
    await store.backup(target)
    copy = await Store.open(target.parent)
    assert len(await copy.pending()) == 21
    await copy.close()


async def test_sizes_and_checks_are_told(store: Store, submit: Submit) -> None:
    await store.add_batch("owner", "b", [submit(), submit("other")])
    usage = await store.usage()
    assert (usage.jobs, usage.batches, usage.documents, usage.outputs, usage.output_bytes) == (2, 1, 2, 0, 0)
    assert usage.file_bytes > 0
    assert usage.log_bytes > 0
    assert await store.integrity() == []


async def test_the_file_is_marked_as_ours(store: Store) -> None:
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert connection.execute("PRAGMA user_version").fetchone() == (store.version,)
    connection.close()
