"""Processes that publish two files of a job and die at a fault point on the way: `FOLDER JOB DEATHS`.

In `FOLDER` the folder `data` holds a queued job. Beside it, in `1`, `2` and so on, copies of it are worked on by
processes that die at the first fault point, at the second and so on, until one meets fewer; as many as `DEATHS` die in
each, then one goes through. What they came to is printed: for each copy their exit codes, those of signals negative.
Where `FOLDER` has a link `elsewhere`, the copies' outputs go there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

from nodegraph.server import faults
from nodegraph.server.publishing import Publisher, Staged
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store


async def attempt(data: Path, id: str, fault: str) -> None:
    """Recover, then run the attempt: stage, publish, end."""
    store = await Store.open(data)
    publisher = Publisher(Settings(data=data), store)
    await store.recover()
    await publisher.recover()
    found = await store.job(id)
    if found is None or found.state.final:
        await store.close()
        return
    job = await store.claim(id, "cpu")
    if job is None:
        raise RuntimeError("the job is not queued")
    folders = await publisher.prepare(job)
    files = []
    for index in range(2):
        path = folders["output"] / "a" / f"pic_{index + 1:05}_.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%d" % index * 1000)
        files.append(Staged(node="save", ordinal=index, file=f"a/{path.name}", media="image/png"))
    faults.arm({faults.VARIABLE: fault})
    await publisher.publish(job, "save", files)
    faults.arm({})
    await store.close()


def process(data: Path, id: str, fault: str = "") -> int:
    """Run an attempt in a process of its own, which has the modules of this one; return its exit code."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            asyncio.run(attempt(data, id, fault))
            status = 0
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def rounds(folder: Path, id: str, deaths: int) -> list[list[int]]:
    """Let the job's processes die at each point; return their exit codes."""
    told = list[list[int]]()
    for number in itertools.count(1):
        data = folder / str(number)
        shutil.copytree(folder / "data", data, symlinks=True)
        if (folder / "elsewhere").is_symlink():
            place = (folder / "elsewhere").resolve() / str(number)
            place.mkdir()
            (data / "output").symlink_to(place)
        codes = [process(data, id, f"{number}:kill") for _ in range(deaths)]
        if codes[0] == 0:
            return told
        told.append([*codes, process(data, id)])
    raise AssertionError


if __name__ == "__main__":
    sys.stdout.write(json.dumps(rounds(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
