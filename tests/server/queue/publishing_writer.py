"""A process that publishes two files of a job, or dies at a fault point on the way: `DATA JOB [again]`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from nodegraph.server import faults
from nodegraph.server.publishing import Publisher, Staged
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store


async def main(data: Path, id: str) -> None:
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
    faults.arm(os.environ)
    await publisher.publish(job, "save", files)
    faults.arm({})
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
