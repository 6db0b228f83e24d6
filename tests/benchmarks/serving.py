"""A server under measurement: its processes, a probe of its event loop, and listeners in a process of their own."""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp

PROBE = struct.Struct("ddd")
"""The longest lag in seconds, of wall clock and of the thread's processor time; the process's processor time."""
EVERY = 0.005
"""Seconds between two looks."""
MEGA = 1e6


class Probed(asyncio.DefaultEventLoopPolicy):
    """Makes event loops that write how late they are into a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        with open(path, "r+b") as file:  # noqa: PTH123 - the descriptor is what counts
            self._memory = mmap.mmap(file.fileno(), PROBE.size)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make a loop with a probe in it."""
        loop = super().new_event_loop()

        def look(due: float, used: float) -> None:
            late, busy = loop.time() - due, time.thread_time() - used
            most, longest, _ = PROBE.unpack_from(self._memory)
            PROBE.pack_into(self._memory, 0, max(most, late), max(longest, busy), time.process_time())
            loop.call_later(EVERY, look, loop.time() + EVERY, time.thread_time())

        loop.call_later(EVERY, look, loop.time() + EVERY, 0.0)
        return loop


def front(path: str, arguments: Sequence[str], profile: str | None) -> int:
    """Be the server's front process."""
    from nodegraph.cli import main as nodegraph

    asyncio.set_event_loop_policy(Probed(path))
    if profile is None:
        return int(nodegraph(list(arguments)))
    import cProfile

    with cProfile.Profile() as recorder:
        code = nodegraph(list(arguments))
    recorder.dump_stats(profile)
    return int(code)


@dataclass
class Server:
    """A server under measurement."""

    process: subprocess.Popen[bytes]
    data: Path
    probe: mmap.mmap
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.told['token']}"}

    @property
    def url(self) -> str:
        return str(self.told["url"])

    def fresh(self) -> None:
        """Begin to look for the longest lag anew."""
        PROBE.pack_into(self.probe, 0, 0.0, 0.0, 0.0)

    def lag(self) -> tuple[float, float]:
        """Return the longest lag since, in milliseconds of wall clock and of processor time."""
        most, busy, _ = PROBE.unpack_from(self.probe)
        return most * 1e3, busy * 1e3

    def used(self) -> float:
        """Return the processor time that the front has taken."""
        found: float = PROBE.unpack_from(self.probe)[2]
        return found

    def children(self) -> dict[str, int]:
        """Return the processes of host and worker."""
        found = {}
        for file in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in file.read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"nodegraph.workers" in words:
                    found[words[words.index(b"nodegraph.workers") + 1].decode()] = int(pid)
        return found


def resident(pid: int) -> float:
    """Return the megabytes of RAM that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGA


@contextmanager
def serving(data: Path, *options: str, probe: bool = True, profile: str | None = None) -> Iterator[Server]:
    """Run a server within the block."""
    data.mkdir(parents=True, exist_ok=True)
    file = data.parent / "probe"
    file.write_bytes(bytes(PROBE.size))
    told = data / "server.json"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "nodegraph"]
    if probe:
        command = [sys.executable, __file__, *(["--profile", profile] if profile else []), "--", str(file)]
    command += ["serve", "--data", str(data), "--port", "0", "--devices", "cpu", "--no-plugins", *options]
    with (data.parent / "log").open("ab") as log, file.open("r+b") as shared:
        memory = mmap.mmap(shared.fileno(), PROBE.size)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            while not told.exists():
                if process.poll() is not None:
                    raise RuntimeError(f"the server ended: {(data.parent / 'log').read_text()[-2000:]}")
                time.sleep(0.002)
            yield Server(process, data, memory, json.loads(told.read_text()))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@dataclass
class Heard:
    """What one listener got."""

    final: dict[str, int] = field(default_factory=dict)
    """Job -> how many final events of it came."""
    seq: int = 0
    gaps: int = 0
    cut: bool = False


def listen(url: str, headers: dict[str, str], count: int, pipe: Connection) -> None:
    """Be all the listeners; at the end tell how many events were lost, doubled, cut, and how late they were."""
    parsed: dict[str, list[tuple[int, str, str, float]]] = {}
    late = array("d")

    def parse(text: str) -> list[tuple[int, str, str, float]]:
        """Parse a frame once for all listeners: they get the same bytes."""
        found = parsed.get(text)
        if found is None:
            events = json.loads(text).get("events", ())
            found = parsed[text] = [(e["seq"], e["type"], e.get("job", ""), e["time"]) for e in events]
            if len(parsed) > 64:
                del parsed[next(iter(parsed))]
        return found

    async def one(session: aiohttp.ClientSession, heard: Heard) -> None:
        async with session.ws_connect(f"{url}/api/v1/events", compress=0, max_msg_size=2**26) as ws:
            opened.release()
            async for message in ws:
                now = time.time()
                if '"type":"snapshot"' in message.data[:40]:  # events go on after it
                    heard.seq = 0
                for seq, kind, job, at in parse(message.data):
                    heard.gaps += seq <= heard.seq
                    heard.seq = seq
                    if kind in ("job.done", "job.failed", "job.cancelled"):
                        heard.final[job] = heard.final.get(job, 0) + 1
                    if kind.startswith("job."):
                        late.append(now - at)
        heard.cut = True

    async def every() -> dict[str, Any]:
        all_heard = [Heard() for _ in range(count)]
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(one(session, heard)) for heard in all_heard]
            for _ in tasks:
                await opened.acquire()
            pipe.send("ready")
            while not pipe.poll():
                await asyncio.sleep(0.05)
            wanted = set(pipe.recv())
            end = time.monotonic() + 30
            while any(not wanted <= heard.final.keys() for heard in all_heard) and time.monotonic() < end:
                await asyncio.sleep(0.05)
            cut = sum(heard.cut for heard in all_heard)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        lost = sum(len(wanted - heard.final.keys()) for heard in all_heard)
        twice = sum(times > 1 for heard in all_heard for times in heard.final.values())
        gaps = sum(heard.gaps for heard in all_heard)
        return {"lost": lost, "twice": twice, "disorder": gaps, "cut": cut, "late": late.tobytes()}

    opened = asyncio.Semaphore(0)
    pipe.send(asyncio.run(every()))


@contextmanager
def listening(server: Server, count: int) -> Iterator[Callable[[Sequence[str]], dict[str, Any]]]:
    """Have listeners in a process of their own; the block asks what they got of the jobs that it names."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=listen, args=(server.url, server.headers, count, there))
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile")
    parser.add_argument("path")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    sys.exit(front(options.path, options.arguments, options.profile))
