"""A long run of small jobs of all kinds, and what it costs a server: memory, files, threads, time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.faults.harness import Json, Server, node, until, workflow

MEBI = 2**20
AHEAD = 40
"""Jobs that are queued before the next are submitted."""


@dataclass(frozen=True)
class Process:
    """What a process holds."""

    resident: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Process:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(status["VmRSS"].split()[0]) * 1024, files, int(status["Threads"]))


@dataclass(frozen=True)
class Sample:
    """A stretch of a run: what it ended with, and how long submissions took in it."""

    jobs: int
    front: Process
    worker: Process
    seconds: float
    waits: Sequence[float] = field(repr=False)

    @property
    def median(self) -> float:
        return statistics.median(self.waits)

    @property
    def slowest(self) -> float:
        """The 99th of 100."""
        return sorted(self.waits)[int(len(self.waits) * 0.99)]

    def __str__(self) -> str:
        told = [f"{self.jobs} jobs", f"{len(self.waits) / self.seconds:.0f} jobs/s"]
        told += [f"submit {self.median * 1e3:.1f} ms, p99 {self.slowest * 1e3:.1f} ms"]
        for name, process in (("front", self.front), ("worker", self.worker)):
            told.append(f"{name} {process.resident / MEBI:.1f} MiB, {process.files} files, {process.threads} threads")
        return "; ".join(told)


def works(count: int) -> Iterator[dict[str, Json]]:
    """Give as many jobs: values, pictures, failures, results made anew and results found again."""
    for index in range(count):
        kind = index % 10
        if kind == 0:
            nodes = {"save": node("Save", text=str(index), count=1, filename_prefix=f"soak/{index // 1000}/pic")}
            yield workflow(nodes, ["save"])
        elif kind == 1:
            yield workflow({"bad": node("Raise", message=f"the failure {index}")}, ["bad"])
        elif kind == 2:
            nodes = {f"text{index}": node("Text", text="some words " * 200, seed=index)}
            yield workflow(nodes, [f"text{index}"], out=f"text{index}.out")
        elif kind == 3:
            yield workflow({"show": node("Preview", count=2, seconds=0.01)}, ["show"])
        else:
            nodes = {"add": node("Add", a=index), "more": node("Add", {"a": "add.out"}, b=kind)}
            yield workflow(nodes, ["more"], out="more.out")


def soak(server: Server, count: int, stretch: int) -> list[Sample]:
    """Run so many jobs, one after the other as the worker takes them; return a sample after each stretch."""
    samples: list[Sample] = []
    with Listener(server):
        began, waits = time.monotonic(), list[float]()
        for number, work in enumerate(works(count), 1):
            if number % AHEAD == 0:
                until(lambda: server.ask("GET", "/queue")["queued"] < AHEAD, 60, "the queue gets shorter")
            before = time.perf_counter()
            id = server.submit(work, client=f"client{number % 7}", key=f"soak-{number}")
            waits.append(time.perf_counter() - before)
            if number % 50 == 0:
                server.ask("POST", f"/jobs/{id}/cancel")
            if number % stretch == 0:
                server.idle()
                (worker,) = server.workers()
                seconds = time.monotonic() - began
                samples.append(Sample(number, Process.of(server.pid), Process.of(worker), seconds, waits))
                began, waits = time.monotonic(), []
    return samples


class Listener:
    """Somebody who looks at everything, previews too, and comes back now and then."""

    def __init__(self, server: Server) -> None:
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.heard = 0

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        import asyncio

        asyncio.run(self._listen())

    async def _listen(self) -> None:
        since = ""
        async with aiohttp.ClientSession(headers=self._server.headers) as session:
            while not self._stop.is_set():
                url = f"{self._server.url}/api/v1/events?previews=true{since}"
                async with session.ws_connect(url) as socket:
                    for _ in range(500):
                        try:
                            message = await socket.receive(0.2)
                        except TimeoutError:
                            if self._stop.is_set():
                                return
                            continue
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            continue
                        told = message.json()
                        if told["type"] == "hello":
                            epoch = told["epoch"]
                        elif told["type"] == "events":
                            self.heard += len(told["events"])
                            since = f"&since={epoch}:{told['events'][-1]['seq']}"


def slope(samples: Sequence[Sample], which: str) -> float:
    """Return how many bytes of memory a process gains in a thousand jobs, by a straight line through the samples."""
    jobs = [sample.jobs / 1000 for sample in samples]
    return statistics.linear_regression(jobs, [getattr(sample, which).resident for sample in samples]).slope
