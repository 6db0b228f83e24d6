"""Nodes that fail, crash, do not listen, or give what they should not."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from nodegraph import Context, node

Kind = Literal[
    "ValueError", "SystemExit", "KeyboardInterrupt", "HugeRepr", "MemoryError", "TorchOOM", "NoSpace", "Secret"
]
TOKEN = "sk-live-0123456789abcdefghijklmnopqrstuv"
"""Looks like a token; `Secret` tells it."""


class HugeReprError(ValueError):
    """An error that has too much to say."""

    def __str__(self) -> str:
        return "x" * 10_000_000

    __repr__ = __str__


@node("faults.Raise", category="faults", cache=False)
def raise_(kind: Kind = "ValueError", message: str = "as it was told", once: str = "", value: int = 0) -> int:
    """Raise an error; with `once`, the name of a file, only where that is not there yet, else give the number."""
    if once and not _first(once):
        return value
    if kind == "SystemExit":
        raise SystemExit(3)
    if kind == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if kind == "HugeRepr":
        raise HugeReprError
    if kind == "MemoryError":
        raise MemoryError(message)
    if kind == "TorchOOM":
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free.")
    if kind == "NoSpace":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(Path.cwd() / "picture.png"))
    if kind == "Secret":
        secret = os.environ.get("NODEGRAPH_TEST_SECRET", "")
        raise ValueError(f"{Path(__file__).resolve()} said {secret!r} and {TOKEN} to {Path.home()}")
    raise ValueError(message)


@node("faults.Crash", category="faults", cache=False)
def crash(how: Literal["segfault", "abort", "exit", "kill"] = "segfault", once: str = "", value: int = 0) -> int:
    """End the process; with `once`, the name of a file, only where that is not there yet, else give the number."""
    if once and not _first(once):
        return value
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "abort":
        os.abort()
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@node("faults.Stubborn", category="faults", cache=False)
def stubborn(seconds: float = 1.0) -> float:
    """Sleep without ever looking at a cancel."""
    time.sleep(seconds)
    return seconds


@node("faults.Deaf", category="faults", cache=False)
def deaf(seconds: float = 1.0) -> float:
    """Sleep without letting any other thread of the process run."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return seconds


@node("faults.Connect", category="faults", cache=False)
def connect() -> bool:
    """Call this machine on a port that nobody listens on, and give whether somebody did."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", 9)) == 0


@node("faults.Nan", category="faults", cache=False)
def nan() -> float:
    """Give what is not a number."""
    return float("nan")


@node("faults.Warn", category="faults", cache=False)
def warn(context: Context, message: str = "it looks odd", times: int = 1) -> int:
    """Warn so often, and give how often that was."""
    for _ in range(times):
        context.warn(message)
    return times


@node("faults.Mutate", category="faults", cache=False)
def mutate(items: list[int]) -> list[int]:
    """Change the list that it is given."""
    items.append(len(items))
    return items


def _first(marker: str) -> bool:
    """Make the file; return False where it was there."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


NODES: list[Callable[..., Any]] = [raise_, crash, stubborn, deaf, connect, nan, warn, mutate]
