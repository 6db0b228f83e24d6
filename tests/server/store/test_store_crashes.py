"""What is on the disk when the process or the machine ends at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.records import State
from nodegraph.server.store.opening import open_file
from nodegraph.server.store.schema import STEPS
from nodegraph.server.store.store import Store

WRITER = Path(__file__).with_name("store_writer.py")
MARKED = ("ALTER TABLE jobs ADD COLUMN mark TEXT", "UPDATE jobs SET mark = id")
"""The step that the writer takes."""
PAGES_BEFORE_CHECKPOINT = 1000 * (4096 + 24)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the writer forks and is stopped by signals")


def acks(folder: Path) -> list[tuple[str, Any]]:
    """Return what a writer was told to be on the disk."""
    path = folder / "acks"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [(what, of) for what, of in (json.loads(line) for line in text.splitlines())]


async def check(data: Path, acknowledged: list[tuple[str, Any]]) -> int:
    """See that a store is sound, has nothing by halves, and all that was acknowledged; return how many jobs it has."""
    store = await Store.open(data)
    assert store.notice is None
    assert await store.integrity() == []
    jobs = {job.id: job for job in (await store.jobs(limit=10_000)).items}
    assert sorted(job.seq for job in jobs.values()) == list(range(1, len(jobs) + 1))
    for batch in (await store.batches(limit=10_000)).items:
        assert sum(batch.counts.values()) == batch.total
    ended = {job.id for job in jobs.values() if job.state.final}
    assert {hook.job.id for hook in await store.due_webhooks(time.time(), 10_000)} == ended
    for id in ended:
        assert await store.report(id) != ()
    for what, of in acknowledged:
        if what == "added":
            assert jobs.keys() >= set(of)
        elif what == "claimed":
            assert jobs[of].attempts == 1
        elif what == "ended":
            assert jobs[of].state is State.DONE
        elif what == "answered":
            assert jobs[of].answers == {"g": 1}
        elif what == "settled":
            found = await store.output(of)
            assert found is not None
            assert found.there
    again = await store.recover()
    assert all(job.state is State.QUEUED for job in again)
    assert State.RUNNING not in await store.counts()
    await store.close()
    return len(jobs)


def rounds(scenario: str, folder: Path) -> int:
    command = [sys.executable, str(WRITER), "rounds", scenario, str(folder)]
    return int(subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE).stdout)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that writes all the time; it is killed at the end."""
    folder.mkdir(exist_ok=True)
    before = len(acks(folder))
    with subprocess.Popen([sys.executable, str(WRITER), "forever", str(folder)]) as process:
        try:
            deadline = time.monotonic() + 30
            while len(acks(folder)) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


async def test_killed_at_each_fault_point_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    count = rounds("work", tmp_path)
    assert count > 20
    sizes = [
        await check(tmp_path / str(number) / "data", acks(tmp_path / str(number))) for number in range(1, count + 2)
    ]
    assert acks(tmp_path / str(count + 1))[-1] == ("closed", None)
    assert sizes[0] == 0
    assert sizes[-1] == 9


async def test_killed_at_each_point_of_a_migration_the_store_has_either_schema(tmp_path: Path) -> None:
    count = rounds("migrate", tmp_path)
    assert count >= 3
    for number in range(1, count + 2):
        path = tmp_path / str(number) / "data" / "nodegraph.db"
        opened = open_file(path, steps=(*STEPS, MARKED))
        assert opened.notice is None
        assert opened.connection.execute("SELECT count(*), count(mark) FROM jobs").fetchone() == (1, 1)
        opened.connection.close()
        backups = sorted((path.parent / "backups").glob("*.db"))
        assert backups
        for backup in backups:
            kept = open_file(backup)
            assert (kept.version, kept.notice) == (len(STEPS), None)
            kept.connection.close()


async def test_killed_while_a_damaged_file_is_put_aside_it_is_put_aside_later(tmp_path: Path) -> None:
    count = rounds("damaged", tmp_path)
    assert count >= 5
    for number in range(1, count + 2):
        data = tmp_path / str(number) / "data"
        opened = acks(data.parent)
        assert (await check(data, [])) == 0 if opened else True
        store = await Store.open(data)
        assert await store.integrity() == []
        await store.close()
        assert [path.read_bytes() for path in data.glob("*.damaged-?")] == [b"junk" * 5000]


async def test_killed_at_random_over_and_over_the_queue_goes_on(tmp_path: Path) -> None:
    chance, total = random.Random(5), 0
    for _ in range(6):
        with writing(tmp_path / "w") as process:
            time.sleep(chance.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = await check(tmp_path / "w" / "data", acks(tmp_path / "w"))
        assert found > total
        total = found


async def test_copies_of_file_and_log_at_random_moments_are_consistent(tmp_path: Path) -> None:
    chance, source = random.Random(9), tmp_path / "w"
    sizes, cut = list[int](), 0
    with writing(source) as process:
        for number in range(14):
            time.sleep(chance.uniform(0.0, 0.02 if number < 6 else 0.15))
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            known, copy = acks(source), tmp_path / f"copy{number}"
            copy.mkdir()
            for name in ("nodegraph.db", "nodegraph.db-wal"):
                shutil.copy(source / "data" / name, copy)
            process.send_signal(signal.SIGCONT)
            length = (copy / "nodegraph.db-wal").stat().st_size
            if length < PAGES_BEFORE_CHECKPOINT:  # nothing is in the file alone: any beginning of the log will do
                shorter = shutil.copytree(copy, tmp_path / f"cut{number}")
                os.truncate(shorter / "nodegraph.db-wal", chance.randrange(length))
                assert await check(shorter, []) <= await check(copy, known)
                cut += 1
            else:
                sizes.append(await check(copy, known))
    assert cut > 0
    assert sizes == sorted(sizes)
    assert sizes


async def test_a_full_disk_is_told_and_room_helps(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), "full", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    told = json.loads(output)
    assert told["refused"]
    assert {line.partition(":")[0] for line in told["refused"]} == {str(errno.ENOSPC)}
    assert "disk that holds the store is full" in told["refused"][0]
    assert told["together"] == ["StoreFullError"] * 3
    assert told["during"] == told["accepted"] - 1
    assert told["same"]
    assert told["problems"] == []
