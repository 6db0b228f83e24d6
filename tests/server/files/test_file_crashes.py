"""A process that dies while it writes leaves the old or the new, never a part that anybody sees."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.server.files.whole import PART, STALE, sweep
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import ANY, Workflows

WRITER = """
import asyncio, itertools, os, sys
from pathlib import Path
from nodegraph.server import faults
from nodegraph.server.settings import Settings
from nodegraph.server.workflows import Workflows

async def main(folder, point):
    saved = Workflows(Settings(data=folder))
    await saved.save("owner", "x", b"first", frozenset())
    faults.arm({faults.VARIABLE: f"{point}:kill"})
    await saved.save("owner", "x", b"second", {"*"})
    await saved.delete("owner", "x")
    await saved.restore("owner", "x", 1)

for point in itertools.count(1):
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(Path(sys.argv[1]) / str(point), point))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code > 0:
        sys.exit(f"point {point}: exit code {code}")
    if code == 0:
        print(point - 1)
        break
"""
"""Writes as processes that are killed at the first fault point, at the second and so on, until one meets fewer."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the writer forks and is ended by signals")
def test_a_process_killed_at_any_point_leaves_a_whole_workflow(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    points = int(subprocess.run(command, stdout=subprocess.PIPE, timeout=120, check=True).stdout)
    assert points >= 10
    for point in range(1, points + 1):
        asyncio.run(_whole(Workflows(Settings(data=tmp_path / str(point)))))


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
