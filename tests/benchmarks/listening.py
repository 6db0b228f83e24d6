"""Listeners to a server under measurement, in a process of their own."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import aiohttp

from tests.benchmarks.serving import Server

ENDS = ("job.done", "job.failed", "job.cancelled")
PATIENCE = 30.0
"""Seconds that the last events may take."""


@dataclass
class Heard:
    """What one listener got."""

    final: dict[str, int] = field(default_factory=dict)
    """Job -> how many final events of it came."""
    seq: int = 0
    gaps: int = 0
    cut: bool = False


class Listeners:
    """All the listeners of one process."""

    def __init__(self, count: int) -> None:
        self._heard = [Heard() for _ in range(count)]
        self._opened = asyncio.Semaphore(0)
        self._late = array("d")
        self._parsed: dict[str, list[tuple[int, str, str, float]]] = {}

    def _parse(self, text: str) -> list[tuple[int, str, str, float]]:
        """Parse a frame once for all listeners: they get the same bytes."""
        found = self._parsed.get(text)
        if found is None:
            events = json.loads(text).get("events", ())
            found = self._parsed[text] = [(e["seq"], e["type"], e.get("job", ""), e["time"]) for e in events]
            if len(self._parsed) > 64:
                del self._parsed[next(iter(self._parsed))]
        return found

    async def _listen(self, session: aiohttp.ClientSession, url: str, heard: Heard) -> None:
        async with session.ws_connect(f"{url}/api/v1/events", compress=0, max_msg_size=2**26) as ws:
            self._opened.release()
            async for message in ws:
                now = time.time()
                if '"type":"snapshot"' in message.data[:40]:  # events go on after it
                    heard.seq = 0
                for seq, kind, job, at in self._parse(message.data):
                    heard.gaps += seq <= heard.seq
                    heard.seq = seq
                    if kind in ENDS:
                        heard.final[job] = heard.final.get(job, 0) + 1
                    if kind.startswith("job."):
                        self._late.append(now - at)
        heard.cut = True

    async def run(self, url: str, headers: dict[str, str], pipe: Connection) -> dict[str, Any]:
        """Listen until the jobs that the pipe names have ended; tell how many events were lost, doubled, cut."""
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(self._listen(session, url, heard)) for heard in self._heard]
            for _ in tasks:
                await self._opened.acquire()
            pipe.send("ready")
            while not pipe.poll():
                await asyncio.sleep(0.05)
            wanted = set(pipe.recv())
            end = time.monotonic() + PATIENCE
            while any(not wanted <= heard.final.keys() for heard in self._heard) and time.monotonic() < end:
                await asyncio.sleep(0.05)
            cut = sum(heard.cut for heard in self._heard)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {
            "lost": sum(len(wanted - heard.final.keys()) for heard in self._heard),
            "twice": sum(times > 1 for heard in self._heard for times in heard.final.values()),
            "disorder": sum(heard.gaps for heard in self._heard),
            "cut": cut,
            "late": self._late.tobytes(),
        }


async def _listen(url: str, headers: dict[str, str], count: int, pipe: Connection) -> None:
    pipe.send(await Listeners(count).run(url, headers, pipe))


def _main(url: str, headers: dict[str, str], count: int, pipe: Connection) -> None:
    asyncio.run(_listen(url, headers, count, pipe))


@contextmanager
def listening(server: Server, count: int) -> Iterator[Callable[[Sequence[str]], dict[str, Any]]]:
    """Have listeners in a process of their own; the block asks what they got of the jobs that it names."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_main, args=(server.url, server.headers, count, there))
    process.start()
    if here.recv() != "ready":
        raise RuntimeError("the listeners do not listen")

    def ask(jobs: Sequence[str]) -> dict[str, Any]:
        here.send(list(jobs))
        found: dict[str, Any] = here.recv()
        times = array("d")
        times.frombytes(found.pop("late"))
        return {**found, "late": times.tolist()}

    try:
        yield ask
    finally:
        process.join(5)
        process.kill()
