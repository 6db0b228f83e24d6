"""No room on the disk at any one moment of a job: it ends all the same, and what it says is so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from nodegraph.server import attempt, faults, holding
from nodegraph.server.records import State

if TYPE_CHECKING:
    from tests.server.queue.conftest import Bench


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look for room more often, and disarm all points in the end."""
    monkeypatch.setattr(attempt, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(holding, "LOOK_SECONDS", 0.02)
    yield
    faults.arm({})


@pytest.mark.usefixtures("quick")
async def test_no_room_at_any_one_moment_loses_and_doubles_nothing(bench: Bench) -> None:
    nodes = {"save": bench.node("faults.Save", count=2), "sum": bench.node("faults.Add", a=1)}
    seen: set[str] = set()
    for number in itertools.count(1):
        await bench.queue.pause()
        job = await bench.submit(nodes, signature="s")
        faults.arm({faults.VARIABLE: f"{number}:full"})
        bench.queue._holding._paused = None
        bench.queue._dispatch.kick()
        job = await bench.end(job)
        fired = faults.met() >= number
        faults.arm({})
        await bench.until(lambda: bench.queue.paused is None and bench.queue.state()["running"] == 0)
        outputs = await bench.outputs(job)
        assert await bench.store.unsettled() == []
        if job.state is State.DONE:
            assert [output.ordinal for output in outputs] == [0, 1]
        else:
            assert job.failure is not None
            assert (job.state, job.failure.code, job.attempts) == (State.FAILED, "disk_full", 1)
            assert outputs == []
        await bench.queue.delete([job], outputs=True)
        assert bench.files() == []
        seen.add(job.state.value)
        if not fired:
            break
    assert number > 8
    assert seen == {"done", "failed"}
