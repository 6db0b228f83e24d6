"""Many jobs: what the server holds stays flat. Row 22 of the fault matrix."""

from __future__ import annotations

import pytest

from tests.faults.harness import Start, until
from tests.faults.soaking import MEBI, Sample, slope, soak

OPTIONS = ("--memory", "1M", "--disk", "1M")


def check(samples: list[Sample], gain: float) -> None:
    """Assert that nothing grows from stretch to stretch but by `gain` bytes of memory in a thousand jobs."""
    first, last = samples[0], samples[-1]
    told = "\n".join(map(str, samples))
    for which in ("front", "worker"):
        before, after = getattr(first, which), getattr(last, which)
        assert after.files <= before.files + 3, told
        assert after.threads <= before.threads + 2, told
        assert slope(samples, which) < gain, f"{which} gains {slope(samples, which) / MEBI:.2f} MiB\n{told}"
    assert last.median < 2 * first.median + 0.005, told
    assert last.seconds < 2 * first.seconds, told


def test_some_hundred_jobs_leave_files_threads_and_latency_flat(start: Start) -> None:
    server = start(*OPTIONS)
    samples = soak(server, 300, 60)
    check(samples[1:], 40 * MEBI)
    states = {job["state"] for job in server.jobs()}
    assert states == {"done", "failed", "cancelled"}
    assert server.stop() == 0


@pytest.mark.soak
def test_ten_thousand_jobs_leave_memory_files_threads_and_latency_flat(start: Start) -> None:
    server = start(*OPTIONS, "--history", "2000")
    samples = soak(server, 10_000, 500)
    check(samples[10:], MEBI)  # what is bounded (the last events, results) has filled up by then
    until(lambda: len(server.jobs()) <= 2000, 90, "the history is pruned")
    assert server.stop() == 0
