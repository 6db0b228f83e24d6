"""Cancels at the worst moments: from the call to the job's end takes less than a second. Row 8 of the fault matrix."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Json, Server, Servers, node, sleep, until, workflow
from tests.faults.models import LARGE, NAME, drawing, place, place_large, states

log = logging.getLogger(__name__)
Moment = Callable[[dict[str, Any]], bool]
"""Tells of a node whether it is time to cancel."""
LIMIT = 1.0
FEW, MANY = 2, 20
PICTURES = 24
"""To be saved, of 1024 pixels a side: many seconds' work."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cancelled")
    tiny = tiny_models / "checkpoints" / "tiny.safetensors"
    place(folder / "models", tiny)
    place_large(folder / "models", tiny, rows=2**25)
    servers = Servers(folder)
    server = servers.start("--models", str(folder / "models"), "--dtype", "bf16", OMP_NUM_THREADS="1")
    server.ended(server.submit(drawing()))  # torch is imported
    yield server
    servers.end()


def decoding() -> dict[str, Json]:
    """Return a job that decodes a large picture."""
    nodes: dict[str, Json] = {
        "load": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": NAME}},
        "empty": {"type": "EmptyLatentImage", "params": {"width": 3072, "height": 3072, "batch_size": 1}},
        "decode": {"type": "VAEDecode", "links": {"samples": "empty.out", "vae": "load.vae"}},
        "save": {"type": "SaveImage", "links": {"images": "decode.out"}},
    }
    return workflow(nodes, ["save"])


def saving() -> dict[str, Json]:
    """Return a job that saves many pictures."""
    nodes: dict[str, Json] = {
        "load": {"type": "LoadImage", "params": {"image": "example.png"}},
        "grow": {
            "type": "ImageScale",
            "params": {"width": 1024, "height": 1024, "upscale_method": "bicubic"},
            "links": {"image": "load.image"},
        },
        "many": {"type": "RepeatImageBatch", "params": {"amount": PICTURES}, "links": {"image": "grow.out"}},
        "save": {"type": "SaveImage", "links": {"images": "many.out"}},
    }
    return workflow(nodes, ["save"])


WORK: dict[str, tuple[Callable[[], dict[str, Json]], str, Moment]] = {
    "step": (lambda: drawing(size=256, steps=1000), "sample", lambda at: at.get("value", 0) > 1),
    "load": (lambda: drawing(name=LARGE), "words", lambda at: at.get("value", 0) > 0),
    "decode": (decoding, "decode", lambda at: at["state"] == "running"),
    "save": (saving, "save", lambda at: at["state"] == "running"),
}


def cancelled(server: Server, place: str) -> float:
    """Cancel a job at that place; return the seconds from the call to the end, having seen that nothing is left."""
    work, name, moment = WORK[place]
    before = len(server.outputs())
    id = server.submit(work())

    def now() -> bool:
        job = server.job(id)
        assert job["state"] in ("queued", "running"), job.get("failure", job["state"])
        return any(at["node"] == name and at["state"] == "running" and moment(at) for at in job["node_states"])

    until(now, 60, f"{name} is at work")
    pids, asked = server.workers(), time.monotonic()
    server.ask("POST", f"/jobs/{id}/cancel")
    job = server.ended(id)
    took = time.monotonic() - asked
    assert job["state"] == "cancelled", job
    assert "failure" not in job
    assert states(job)[name] == "cancelled", states(job)
    assert len(server.outputs()) == before
    assert server.workers() == pids, "the worker listened: there was no need to end it"
    until(lambda: not list((server.data / "staging").glob("*")), 5, "the staging folder is empty")
    return took


@pytest.mark.parametrize("place", WORK)
def test_a_cancel_ends_the_job_within_a_second_and_nothing_is_published(server: Server, place: str) -> None:
    took = [cancelled(server, place) for _ in range(FEW)]
    assert max(took) <= LIMIT, took


@pytest.mark.soak
@pytest.mark.parametrize("place", WORK)
def test_of_many_cancels_all_end_the_job_within_a_second(server: Server, place: str) -> None:
    took = sorted(cancelled(server, place) for _ in range(MANY))
    log.info("%s: median %.0f ms, p95 %.0f ms", place, took[MANY // 2] * 1e3, took[int(MANY * 0.95) - 1] * 1e3)
    assert took[-1] <= LIMIT, took


def test_a_queued_job_is_cancelled_at_once(server: Server) -> None:
    first = server.submit(sleep(60))
    took = []
    for number in range(20):
        id = server.submit(sleep(60, number))
        asked = time.monotonic()
        assert server.ask("POST", f"/jobs/{id}/cancel")["state"] == "cancelled"
        took.append(time.monotonic() - asked)
        assert server.job(id)["attempts"] == 0
    server.ask("POST", f"/jobs/{first}/cancel")
    assert server.ended(first)["state"] == "cancelled"
    log.info("queued: p95 %.0f ms", sorted(took)[18] * 1e3)
    assert sorted(took)[18] < 0.2


def test_what_was_finished_before_a_cancel_is_found_by_the_next_job(server: Server, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    def work(seconds: float) -> dict[str, Json]:
        nodes = {
            "work": node("Work", seconds=0.05, value=3, log=str(ran)),
            "sleep": node("Sleep", {"value": "work.out"}, seconds=seconds, steps=max(1, int(seconds * 20))),
        }
        return workflow(nodes, ["sleep"], out="sleep.out")

    id = server.submit(work(60))
    server.running(id)
    until(lambda: states(server.job(id)).get("sleep") == "running", 20, "the second node runs")
    server.ask("POST", f"/jobs/{id}/cancel")
    assert states(server.ended(id)) == {"work": "finished", "sleep": "cancelled"}
    job = server.ended(server.submit(work(0.01)))
    assert states(job) == {"work": "cached", "sleep": "finished"}
    assert job["values"] == {"out": 3}
    assert ran.read_text().splitlines() == ["work"]
