"""A process that dies while it writes leaves the old or the new, never a part that anybody sees."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.server.files.whole import PART, STALE, sweep
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import ANY, Workflows

WRITER = """
import asyncio, os, sys
from pathlib import Path
from nodegraph.server import faults
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import Workflows

async def main():
    saved = Workflows(Settings(data=Path(sys.argv[1])))
    await saved.save("owner", "x", b"first", frozenset())
    faults.arm(os.environ)
    await saved.save("owner", "x", b"second", {"*"})
    await saved.delete("owner", "x")
    await saved.restore("owner", "x", 1)
    print(faults.met())

asyncio.run(main())
"""


def write(folder: Path, fault: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WRITER, str(folder)],
        env={"NODEGRAPH_FAULT": fault, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_a_process_killed_at_any_point_leaves_a_whole_workflow(tmp_path: Path) -> None:
    points = int(write(tmp_path / "whole", "1000:kill").stdout)
    assert points >= 10
    for point in range(1, points + 1):
        folder = tmp_path / str(point)
        assert write(folder, f"{point}:kill").returncode == -signal.SIGKILL
        asyncio.run(_whole(Workflows(Settings(data=folder))))


async def _whole(saved: Workflows) -> None:
    revisions = await saved.revisions("owner", "x")
    texts = {await saved.revision("owner", "x", one.number) for one in revisions if one.etag is not None}
    assert b"first" in texts
    assert texts <= {b"first", b"second"}
    here, gone = await saved.list("owner"), await saved.list("owner", deleted=True)
    assert [entry.name for entry in (*here, *gone)] == ["x"]
    for entry in here:
        assert (await saved.read("owner", entry.name)).data in texts
    entry, _ = await saved.save("owner", "x", b"after", {ANY} if here else frozenset())
    assert entry.revision > revisions[0].number
    assert await saved.revision("owner", "x", entry.revision) == b"after"


def test_parts_that_a_process_left_are_swept_but_not_those_of_now(tmp_path: Path) -> None:
    old, new, other = tmp_path / f"{PART}old", tmp_path / f"{PART}new", tmp_path / "old.png"
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (path.stat().st_mtime - STALE - 1,) * 2)
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {new.name, other.name}
    deep = tmp_path / ".revisions" / "x.json" / f"{PART}old"
    deep.parent.mkdir(parents=True)
    deep.touch()
    os.utime(deep, (1, 1))
    sweep(tmp_path)
    assert not deep.exists()
    sweep(tmp_path / "missing")
