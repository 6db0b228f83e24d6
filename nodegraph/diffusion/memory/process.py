"""What this process holds of the machine's memory."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

M_ARENA_MAX = -8
"""What glibc calls the number of heaps (malloc.h)."""
STATM = Path("/proc/self/statm")


def resident() -> int:
    """Return the bytes of RAM that the process holds, pages of files among them; 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def trim() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc)."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def share_heap() -> None:
    """Have threads that are started from now on take memory from one heap, where the C library makes more (glibc).

    What one frees another one then takes, while a heap of a thread's own goes back to the system, page by page.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
