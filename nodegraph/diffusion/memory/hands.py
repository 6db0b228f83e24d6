"""Threads that work on weights side by side, each with one thread of torch's: there are as many of them as it has."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from nodegraph.diffusion.memory.process import share_heap

MOST = 8
"""Threads at most: from there on memory is what they wait for, and each has a weight of its own in work."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
_lock = threading.Lock()


def hands() -> int:
    """Return how many threads there are to be."""
    return max(1, min(torch.get_num_threads(), MOST))


def pool(count: int) -> ThreadPoolExecutor:
    """Return `count` threads of this process; they stay, as each torch that learns of a thread costs time."""
    with _lock:
        key = os.getpid(), count  # a child of a fork has no threads but the one that forked
        if key not in _pools:
            _pools[key] = _started(count)
        return _pools[key]


def _started(count: int) -> ThreadPoolExecutor:
    """Start threads that use one core each.

    What a thread sets counts for itself, and for threads that do not know torch yet, for which it is set back at once.
    """
    share_heap()
    before, meet = torch.get_num_threads(), threading.Barrier(count + 1)
    found = ThreadPoolExecutor(count, "weights", initializer=_use_one_core)
    for _ in range(count):
        found.submit(meet.wait)
    meet.wait()
    torch.set_num_threads(before)
    return found


def _use_one_core() -> None:
    torch.get_num_threads()  # the first call in a thread sets what all have
    torch.set_num_threads(1)
