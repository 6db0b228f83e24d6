"""One server at a time has a data folder, and whoever comes second is told who has it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.server.locking import FolderLock, LockedError, holder

HOLD = """
import sys
from pathlib import Path
from nodegraph.server.locking import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start a process that has the lock."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    process = hold(tmp_path)
    try:
        assert holder(tmp_path) == process.pid
        with pytest.raises(LockedError, match=str(process.pid)) as caught, FolderLock(tmp_path):
            pass
        assert caught.value.pid == process.pid
    finally:
        end(process)


def test_the_lock_of_a_process_that_was_killed_is_lifted(tmp_path: Path) -> None:
    end(hold(tmp_path))
    assert holder(tmp_path) is None
    with FolderLock(tmp_path):
        assert holder(tmp_path) == os.getpid()


def test_the_lock_makes_its_folder_and_leaves_it_free(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    assert holder(folder) is None
    for _ in range(2):
        with FolderLock(folder):
            pass
    assert holder(folder) is None


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with FolderLock(tmp_path):
            pass
    finally:
        child.communicate(b"\n")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_new_folder_is_for_its_owner_alone_and_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(0o755)
    for folder, mode in ((tmp_path / "new" / "data", 0o700), (shared, 0o755)):
        with FolderLock(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == mode
