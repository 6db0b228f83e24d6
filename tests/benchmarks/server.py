"""Measures a whole server: `python -m tests.benchmarks.server [start] [load] [speed] [batch]`.

Each part starts `nodegraph serve` as a process of its own; whoever listens to its events is a second one, whoever
submits jobs a third. Toy jobs of three nodes show what the server costs, not what nodes do. Lag is that of the front's
event loop, taken in the process itself every 5 ms: in wall clock, which other work on the machine makes longer, and in
processor time of its own. Exits with 1 where a figure is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.listening import listening
from tests.benchmarks.serving import Server, resident, serving

START, RESIDENT, SUBMIT, ITEM = 1.0, 120.0, 0.050, 0.005
"""Limits: seconds of a start, MB of an idle front, seconds of a submission (99 of 100), of an item of a batch."""
JOBS = "/api/v1/jobs"


def toy(value: int | None = None) -> dict[str, Any]:
    """Return a job of three nodes that does nothing; it runs anew for each value."""
    nodes = {
        "number": {"type": "PrimitiveInt", "params": {"value": value or 0}},
        "list": {"type": "Collect", "links": {"a": "number.out"}},
        "length": {"type": "ListLength", "links": {"items": "list.out"}},
    }
    return {"workflow": {"format": 1, "nodes": nodes, "inputs": {"value": "number.value"}}, "targets": ["length"]}


def long_chain(count: int) -> dict[str, Any]:
    """Return a job of many nodes."""
    nodes: dict[str, Any] = {"0": {"type": "PrimitiveInt", "params": {"value": 0}}}
    for index in range(1, count):
        nodes[str(index)] = {"type": "PrimitiveInt", "links": {"value": f"{index - 1}.out"}}
    return {"workflow": {"format": 1, "nodes": nodes, "inputs": {"value": "0.value"}}}


class Asking:
    """A client with its connections."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server, self._session = server, session
        self.jobs: list[str] = []
        """Submitted one by one."""
        self._value = int(time.time())

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self._server.url + path, json=body) as response:
            answer = await response.json()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {str(answer)[:500]}")
            return answer

    async def submit(self) -> float:
        """Submit a job; return how long that took."""
        self._value += 1
        body, began = toy(self._value), time.perf_counter()
        answer = await self.ask("POST", JOBS, body)
        took = time.perf_counter() - began
        self.jobs.append(answer["id"])
        return took

    async def batch(self, work: dict[str, Any], items: int) -> float:
        """Submit a batch; return how long that took."""
        values = list(range(self._value, self._value + items))
        self._value += items
        began = time.perf_counter()
        answer = await self.ask("POST", "/api/v1/batches", {**work, "over": {"zip": {"value": values}}})
        took = time.perf_counter() - began
        cursor = ""
        while cursor is not None:
            page = await self.ask("GET", f"/api/v1/batches/{answer['id']}?limit=500{cursor and f'&cursor={cursor}'}")
            self.jobs += [item["id"] for item in page["items"]]
            cursor = page.get("cursor")
        return took

    async def idle(self) -> None:
        """Wait until nothing is queued and nothing runs."""
        for state in ("queued", "running", "queued"):
            while (found := await self.ask("GET", f"{JOBS}?state={state}&limit=1"))["items"]:
                await self.ask("GET", f"{JOBS}/{found['items'][0]['id']}?wait=60")


@contextlib.asynccontextmanager
async def asking(server: Server) -> AsyncIterator[Asking]:
    """Ask a server that is ready to run jobs."""
    async with aiohttp.ClientSession(headers=server.headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Asking(server, session)
        while True:
            found = await client.ask("GET", "/api/v1/system")
            if found["nodes_ready"] and any(device["state"] == "idle" for device in found["devices"]):
                break
            await asyncio.sleep(0.02)
        for _ in range(20):  # warms up
            await client.submit()
        await client.idle()
        await asyncio.sleep(0.3)
        client.jobs.clear()
        server.fresh()
        yield client


def p(times: Sequence[float], share: float) -> float:
    """Return a quantile, in milliseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1e3 if times else 0.0


Row = tuple[str, str, bool]
"""What was measured, the figure, whether it is within its limit."""


def first_answer(data: Path, *, keep: bool) -> float:
    """Return how many seconds pass from exec to the first answer to a request that asks for the node types."""
    if not keep:
        (data / "catalogue.json").unlink(missing_ok=True)
    (data / "server.json").unlink(missing_ok=True)
    arguments = ["serve", "--data", str(data), "--port", "0", "--devices", "cpu", "--no-plugins"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "nodegraph", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        while not (data / "server.json").exists():
            time.sleep(0.001)
        told = json.loads((data / "server.json").read_text())
        headers = {"Authorization": f"Bearer {told['token']}"}
        with urllib.request.urlopen(urllib.request.Request(f"{told['url']}/api/v1/nodes", headers=headers)) as answer:
            answer.read()
        took = time.perf_counter() - began
        if not keep:  # a catalogue for the next
            time.sleep(3)
        return took
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measure_start(folder: Path, repeats: int) -> list[Row]:
    """Measure starts, and the memory of the processes."""
    rows: list[Row] = []
    for name, keep in (("without a catalogue", False), ("with a catalogue of the last run", True)):
        times = [first_answer(folder / "start", keep=keep) for _ in range(repeats + 1)][1:]
        told = f"{statistics.median(times):.2f} s (slowest {max(times):.2f})"
        rows.append((f"start, {name}: exec to first answer", told, statistics.median(times) < START))

    async def memory(server: Server) -> list[Row]:
        async with asking(server) as client:
            await asyncio.sleep(3.0)
            before = resident(server.process.pid)
            rest = {name: resident(pid) for name, pid in server.children().items()}
            await client.batch(toy(), 1000)
            await client.idle()
            await asyncio.sleep(1.0)
            after = resident(server.process.pid)
            return [
                ("front, idle", f"{before:.0f} MB", before < RESIDENT),
                ("front, idle after 1000 jobs", f"{after:.0f} MB", after < RESIDENT),
                *((name, f"{size:.0f} MB", True) for name, size in rest.items()),
            ]

    with serving(folder / "memory") as server:
        rows += asyncio.run(memory(server))
    with serving(folder / "memory", "--no-preload", probe=False) as server:
        rows.append(asyncio.run(_lean(server)))
    return rows


async def _lean(server: Server) -> Row:
    async with asking(server) as client:
        await client.batch(toy(), 100)
        await client.idle()
        return ("worker that has run jobs without torch", f"{resident(server.children()['worker']):.0f} MB", True)


Submitting = Callable[[Asking, int], Awaitable[list[float]]]
"""Submits about so many jobs; returns how long each request took."""


async def one_by_one(client: Asking, jobs: int) -> list[float]:
    return [await client.submit() for _ in range(jobs)]


async def eight_at_once(client: Asking, jobs: int) -> list[float]:
    parts = await asyncio.gather(*(one_by_one(client, jobs // 8) for _ in range(8)))
    return [time for times in parts for time in times]


async def by_the_hundred(client: Asking, jobs: int) -> list[float]:
    return [await client.batch(toy(), 100) for _ in range(jobs // 100)]


@dataclass(frozen=True)
class Load:
    """What a loaded server was seen to do."""

    times: list[float]
    whole: float
    jobs: int
    left: int
    took: float
    busy: float
    heard: dict[str, Any]
    lag: tuple[float, float]
    at_rest: tuple[float, float]

    def rows(self, name: str, queued: int, limit: float) -> list[Row]:
        """Tell of it."""
        slow, late = p(self.times, 0.99), self.heard["late"]
        submit = f"p50 {p(self.times, 0.5):.1f} ms, p99 {slow:.1f} ms, longest {max(self.times) * 1e3:.1f} ms"
        jobs = (
            f"{self.jobs}, {self.jobs - self.left} ran and {self.left} were cancelled, in {self.took:.1f} s; "
            f"front {self.busy / self.took:.0%} of a core; {queued} queued as a batch in {self.whole:.2f} s"
        )
        faults = {what: self.heard[what] for what in ("lost", "twice", "disorder", "cut")}
        events = f"p50 {p(late, 0.5):.0f} ms, p99 {p(late, 0.99):.0f} ms late; "
        events += ", ".join(f"{count} {what}" for what, count in faults.items())
        lag = f"{self.lag[0]:.0f} ms ({self.lag[1]:.0f} ms of its own); at rest {self.at_rest[0]:.0f} ms"
        return [
            (f"submit, {name}", submit, slow <= limit * 1e3),
            ("  jobs", jobs, True),
            ("  events", events, not any(faults.values())),
            ("  longest lag", lag, True),
        ]


async def load(server: Server, clients: int, queued: int, submit: Submitting, singles: int) -> Load:
    """Submit while many jobs are queued and many clients listen."""
    async with asking(server) as client:
        with listening(server, clients) as heard:
            server.fresh()
            await asyncio.sleep(0.5)
            at_rest = server.lag()
            server.fresh()
            began, used = time.perf_counter(), server.used()
            whole = await client.batch(toy(), queued)
            times = await submit(client, singles)
            left = (await client.ask("POST", "/api/v1/queue/clear"))["count"]
            await client.idle()
            took, busy = time.perf_counter() - began, server.used() - used
            found = heard(client.jobs)
            return Load(times, whole, len(client.jobs), left, took, busy, found, server.lag(), at_rest)


def measure_load(folder: Path, clients: int, queued: int, singles: int, profile: str | None) -> list[Row]:
    """Measure submissions while many jobs are queued and many listen."""
    ways: tuple[tuple[str, Submitting, float], ...] = (
        ("one at a time", one_by_one, SUBMIT),
        ("8 at once", eight_at_once, SUBMIT),
        ("batches of 100", by_the_hundred, 1.0),
    )
    rows: list[Row] = []
    for name, submit, limit in ways:
        with serving(folder / name, profile=profile) as server:
            found = asyncio.run(load(server, clients, queued, submit, singles))
        rows += found.rows(name, queued, limit)
    return rows


def measure_speed(folder: Path, profile: str | None) -> list[Row]:
    """Measure how fast toy jobs go through one worker."""

    async def run(server: Server) -> list[Row]:
        async with asking(server) as client:
            with listening(server, 1) as heard:
                trips = []
                for _ in range(200):
                    client._value += 1
                    began = time.perf_counter()
                    body = toy(client._value)
                    client.jobs.append((await client.ask("POST", f"{JOBS}?wait=30", body))["id"])
                    trips.append(time.perf_counter() - began)
                rates, used = [], server.used()
                began_all = time.perf_counter()
                for _ in range(3):
                    began = time.perf_counter()
                    await client.batch(toy(), 1000)
                    await client.idle()
                    rates.append(1000 / (time.perf_counter() - began))
                each = (server.used() - used) / 3000
                busy = (server.used() - used) / (time.perf_counter() - began_all)
                found = heard(client.jobs)
        late = found["late"]
        trip = f"p50 {p(trips, 0.5):.1f} ms, p99 {p(trips, 0.99):.1f} ms"
        told = f"{statistics.median(rates):.0f}/s; the front takes {each * 1e3:.2f} ms each, {busy:.0%} of a core"
        return [
            ("a job, from POST to its result", trip, True),
            ("jobs through one worker", told, True),
            ("events", f"p50 {p(late, 0.5):.0f} ms, p99 {p(late, 0.99):.0f} ms late", not found["lost"]),
        ]

    with serving(folder / "speed", profile=profile) as server:
        return asyncio.run(run(server))


def measure_batch(folder: Path, profile: str | None) -> list[Row]:
    """Measure large batches."""

    async def run(server: Server) -> list[Row]:
        rows: list[Row] = []
        async with asking(server) as client:
            await client.ask("POST", "/api/v1/queue/pause", {})
            for name, work, items in (("3 nodes", toy(), 10_000), ("1000 nodes", long_chain(1000), 200)):
                server.fresh()
                took = await client.batch(work, items)
                await asyncio.sleep(0.5)
                lag = server.lag()
                told = (
                    f"{took:.2f} s, {took / items * 1e3:.2f} ms an item; lag {lag[0]:.0f} ms ({lag[1]:.0f} of its own)"
                )
                rows.append((f"a batch of {items} jobs of {name}", told, took / items < ITEM))
                server.fresh()
                began = time.perf_counter()
                await client.ask("POST", "/api/v1/queue/clear")
                cleared, lag = time.perf_counter() - began, server.lag()
                rows.append(("  cancelled", f"{cleared:.2f} s; lag {lag[0]:.0f} ms ({lag[1]:.0f} of its own)", True))
        return rows

    with serving(folder / "batch", profile=profile) as server:
        return asyncio.run(run(server))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", help="start, load, speed, batch (default: all)")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--queued", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", help="write a profile of the front to this file")
    options = parser.parse_args()
    chosen = options.parts or ["start", "load", "speed", "batch"]
    good = True
    with tempfile.TemporaryDirectory(prefix="nodegraph-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], list[Row]]] = {
            "start": lambda: measure_start(folder, options.repeats),
            "load": lambda: measure_load(folder, options.clients, options.queued, options.singles, options.profile),
            "speed": lambda: measure_speed(folder, options.profile),
            "batch": lambda: measure_batch(folder, options.profile),
        }
        for part in chosen:
            print(f"{part} (load average {os.getloadavg()[0]:.1f})")
            for what, told, within in parts[part]():
                good &= within
                print(f"  {what:<52}{told}{'' if within else '  OVER ITS LIMIT'}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
