"""Processes that write to a store until they are killed, for tests of what is left.

`rounds SCENARIO FOLDER` runs a scenario again and again, killed at its first fault point, its second and so on, each in
a folder of its own, until a round meets fewer. `forever FOLDER` writes until somebody kills it. `full FOLDER` writes
until there is no room. Each notes in `acks` what was told to be on the disk.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nodegraph.server import faults
from nodegraph.server.records import Job, NodeRun, Output, Question, State, Submission
from nodegraph.server.store.errors import StoreFullError
from nodegraph.server.store.opening import open_file
from nodegraph.server.store.schema import STEPS
from nodegraph.server.store.store import Store

DOCUMENT = b'{"format":1,"nodes":{}}'
REPORT = (NodeRun(node="a", type="faults.Text", state="finished"),)
NEXT_STEP = ("ALTER TABLE jobs ADD COLUMN mark TEXT", "UPDATE jobs SET mark = id")
Note = Callable[[str, Any], None]


def noting(folder: Path) -> Note:
    """Return what appends a line to the folder's `acks`, past all buffers of the process."""
    file = os.open(folder / "acks", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def note(what: str, of: Any) -> None:
        os.write(file, json.dumps([what, of]).encode() + b"\n")

    return note


async def batch_of(store: Store, note: Note, count: int = 3) -> list[Job]:
    """Add a batch whose first job runs and ends."""
    _, jobs = await store.add_batch(
        "owner", "b", [Submission(document=DOCUMENT, webhook="http://h/") for _ in range(count)]
    )
    note("added", [job.id for job in jobs])
    await store.claim(jobs[0].id, "cpu")
    note("claimed", jobs[0].id)
    await store.finish(jobs[0].id, State.DONE, report=REPORT)
    note("ended", jobs[0].id)
    return jobs


async def work(folder: Path, note: Note) -> None:
    """Do one of everything that matters."""
    store = await Store.open(folder / "data")
    note("opened", None)
    _, second, third = await batch_of(store, note)
    await store.claim(second.id, "cpu")
    await store.wait(second.id, [Question(node="g", question="?", choices=())], REPORT)
    await store.answer(second.id, {"g": 1})
    note("answered", second.id)
    await store.move(third.id, end="first")
    output = Output(id="", seq=0, job=third.id, user="owner", node="s", ordinal=0, name="a.png")
    reserved = await store.reserve_output(output)
    note("reserved", reserved.id)
    await store.settle_output(reserved.id, f"{reserved.id}.png", 3)
    note("settled", reserved.id)
    await asyncio.gather(*(batch_of(store, note, 2) for _ in range(3)))
    await store.close()
    note("closed", None)


async def migrate(folder: Path, note: Note) -> None:
    """Bring a store with a job to the next version; the job is there before faults are armed."""
    opened = open_file(folder / "data" / "nodegraph.db", steps=(*STEPS, NEXT_STEP))
    note("migrated", opened.version)
    opened.connection.close()


async def damaged(folder: Path, note: Note) -> None:
    """Open a store whose file is none."""
    store = await Store.open(folder / "data")
    await store.put("opened", 1)
    note("opened", store.notice)
    await store.close()


async def prepare(scenario: str, folder: Path) -> None:
    """Make what a scenario begins with."""
    (folder / "data").mkdir(parents=True)
    if scenario == "migrate":
        store = await Store.open(folder / "data")
        await store.add("owner", [Submission(document=DOCUMENT)])
        await store.close()
    if scenario == "damaged":
        (folder / "data" / "nodegraph.db").write_bytes(b"junk" * 5000)
        (folder / "data" / "nodegraph.db-wal").write_bytes(b"more junk")


SCENARIOS: dict[str, Callable[[Path, Note], Awaitable[None]]] = {"work": work, "migrate": migrate, "damaged": damaged}


def rounds(scenario: str, folder: Path) -> int:
    """Kill a scenario at each of its fault points; return how many there are."""
    for number in itertools.count(1):
        place = folder / str(number)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio.run(prepare(scenario, place))
                faults.arm({faults.VARIABLE: f"{number}:kill"})
                asyncio.run(_run(scenario, place))
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            if os.WEXITSTATUS(status):
                raise RuntimeError(f"round {number} of {scenario} failed")
            return number - 1
    raise AssertionError


async def _run(scenario: str, folder: Path) -> None:
    await SCENARIOS[scenario](folder, noting(folder))


async def forever(folder: Path) -> None:
    """Write until killed."""
    note, store = noting(folder), await Store.open(folder / "data")
    await store.recover()
    while True:
        await batch_of(store, note, 2)


async def full(folder: Path) -> dict[str, Any]:
    """Write until no file may grow any more, then with room again; tell what happened."""
    store = await Store.open(folder / "data")
    submission = Submission(document=DOCUMENT, inputs={"text": "x" * 5000})
    accepted = [job.id for _ in range(5) for job in await store.add("owner", [submission])]
    limit = (folder / "data" / "nodegraph.db-wal").stat().st_size + 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    refused = list[str]()
    for _ in range(200):
        try:
            accepted.extend(job.id for job in await store.add("owner", [submission]))
        except StoreFullError as error:
            refused.append(f"{error.errno}: {error}")
    together = await asyncio.gather(*(store.add("owner", [submission] * 50) for _ in range(3)), return_exceptions=True)
    during = sum((await store.counts()).values())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    accepted.extend(job.id for job in await store.add("owner", [submission]))
    found = {job.id for job in await store.pending()}
    problems = await store.integrity()
    await store.close()
    return {
        "refused": refused, "together": [type(one).__name__ for one in together], "during": during,
        "accepted": len(accepted), "same": found == set(accepted), "problems": problems,
    }  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rounds", name, place]:
            sys.stdout.write(str(rounds(name, Path(place))))
        case ["forever", place]:
            asyncio.run(forever(Path(place)))
        case ["full", place]:
            sys.stdout.write(json.dumps(asyncio.run(full(Path(place)))))
        case _:
            sys.exit(2)
