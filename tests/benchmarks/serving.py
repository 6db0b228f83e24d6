"""A server under measurement: its processes, and a probe of its event loop."""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile")
    parser.add_argument("path")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    sys.exit(front(options.path, options.arguments, options.profile))
