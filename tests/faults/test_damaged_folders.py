"""Servers on stores that are damaged, held by another process or too new, and on folders as power loss leaves them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.harness import Server, Servers, Start, save, sleep, until
from tests.faults.invariants import Wanted, check, pictures


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a server has run a job and kept one."""
    servers = Servers(tmp_path_factory.mktemp("kept"))
    server = servers.start()
    server.ended(server.submit({**save("old", 1), "key": "old"}))
    server.ask("POST", "/queue/pause", {})
    server.submit(sleep(0.01))
    assert server.stop() == 0
    return server.data


@pytest.fixture
def left(kept: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder."""
    return Path(shutil.copytree(kept, tmp_path / "left"))


def test_a_damaged_store_is_put_aside_and_a_new_one_made(start: Start, left: Path) -> None:
    """Row 15 of the fault matrix: the file is junk, or its middle is."""
    store = left / "nodegraph.db"
    content = bytearray(store.read_bytes())
    for junk in (b"no database" * 1000, bytes(content[:4096]) + os.urandom(len(content) - 4096)):
        store.write_bytes(junk)
        server = start(data=left)
        assert "WARNING" in server.text()
        assert "damaged" in server.text()
        assert server.jobs() == []
        assert server.ended(server.submit(save("new", 1)))["state"] == "done"
        assert server.stop() == 0
        aside = max(left.glob("nodegraph.db.damaged-*"), key=lambda path: path.stat().st_mtime)
        assert aside.read_bytes() == junk
    assert len(list(left.glob("nodegraph.db.damaged-?"))) == 2
    assert (left / "output" / "faults_00001_.png").stat().st_size, "the outputs stay"
    assert len(list((left / "output").iterdir())) == 3


@contextmanager
def held(store: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(store, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


def test_a_store_that_another_process_holds_is_waited_for_then_told_of(start: Start, left: Path) -> None:
    """Row 15 of the fault matrix."""
    with held(left / "nodegraph.db"):
        server = start(data=left, wait=False)
        assert server.process.wait(30) not in (0, None)
    assert f"process {os.getpid()}" in server.text()
    assert "Traceback" not in server.text()
    with held(left / "nodegraph.db") as connection:
        server = start(data=left, wait=False)
        timer = threading.Timer(2, connection.rollback)
        timer.start()
        assert server.ready(), server.text()
        timer.join()
    assert len(server.jobs()) == 2


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(start: Start, left: Path) -> None:
    """Row 15 of the fault matrix; that older ones are migrated is tested with the store."""
    store = left / "nodegraph.db"
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = store.read_bytes()
    server = start(data=left, wait=False)
    assert server.process.wait(30) not in (0, None)
    assert "schema 99" in server.text()
    assert "Traceback" not in server.text()
    assert store.read_bytes() == before
    assert list(left.glob("*damaged*")) == []


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Let nothing of a server move: the front first, so that it does not see its workers stand."""
    pids = [server.pid, *server.workers()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: all(_state(pid) in "TZ" for pid in pids), 5, "all stand still")
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_copies_of_the_folder_at_any_moment_go_on_from_there(start: Start, tmp_path: Path) -> None:
    """Row 26 of the fault matrix: as after a power loss, what was not synced of the log, its tail, is gone or torn."""
    chance = random.Random(26)
    server = start("--workers", "2")
    ids: list[str] = []
    copies = []
    for moment in range(6):
        ids += [server.submit(pictures(f"job{len(ids) + index}", 1, seconds=0.02)) for index in range(5)]
        time.sleep(chance.uniform(0, 0.2))
        with stopped(server):
            copies.append((tmp_path / f"copy{moment}", len(ids)))
            # As it is on the disk: a file that has two names is one file in the copy too.
            subprocess.run(["cp", "-a", server.data, copies[-1][0]], check=True)
    server.idle()
    assert server.stop() == 0
    torn = 0
    for copy, accepted in copies:
        assert stored(copy, None) == ids[:accepted], "what was answered is on the disk"
        size = (copy / "nodegraph.db-wal").stat().st_size
        for _ in range(10):
            found = stored(copy, chance.randrange(size + 1))
            assert found == ids[: len(found)]
            torn += len(found) < accepted
    assert torn > 5
    for copy, accepted in copies[4:5]:
        again = start(data=copy)
        again.idle()
        assert again.stop() == 0
        check(copy, {f"job{index}": Wanted(1) for index in range(accepted)})


def stored(folder: Path, length: int | None) -> list[str]:
    """Return the jobs that a store has whose log breaks off after `length` bytes, with junk for a page after that."""
    trial = folder.with_name("trial")
    trial.mkdir()
    try:
        shutil.copy(folder / "nodegraph.db", trial)
        log = (folder / "nodegraph.db-wal").read_bytes()
        cut = log if length is None else log[:length] + os.urandom(4096)
        (trial / "nodegraph.db-wal").write_bytes(cut)
        with contextlib.closing(sqlite3.connect(trial / "nodegraph.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'jobs'").fetchone()[0]
            return [id for (id,) in connection.execute("SELECT id FROM jobs ORDER BY seq")] if tables else []
    finally:
        shutil.rmtree(trial)
