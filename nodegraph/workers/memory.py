"""Memory of a worker: what each node needed at most, and what can be given back when there is too little."""

from __future__ import annotations

import errno
import gc
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodegraph.engine.memory import MemoryCache
from nodegraph.machine import total_memory

if TYPE_CHECKING:
    from nodegraph.engine.cache import Entry

CLEAR_PEAK: Final = b"5"
"""Written to `/proc/self/clear_refs`, it makes the peak of resident memory begin anew (Linux, proc(5))."""
NO_SPACE: Final = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Meter:
    """Reads how much memory the process held at most since the meter was last reset, by device."""

    def __init__(self) -> None:
        self._resets = True

    def reset(self) -> None:
        """Begin anew."""
        if self._resets:
            try:
                with Path("/proc/self/clear_refs").open("wb") as file:
                    file.write(CLEAR_PEAK)
            except OSError:  # not Linux, or not allowed: what is read is then what is held now
                self._resets = False
        for index in _cuda():
            import torch

            torch.cuda.reset_peak_memory_stats(index)

    def read(self) -> dict[str, int]:
        """Return the bytes by device (`cpu`, `cuda:0`)."""
        peaks = {"cpu": resident("VmHWM:" if self._resets else "VmRSS:")}
        for index in _cuda():
            import torch

            peaks[f"cuda:{index}"] = torch.cuda.max_memory_allocated(index)
        return {device: size for device, size in peaks.items() if size}


def resident(field: str = "VmRSS:") -> int:
    """Return the bytes of RAM that the process holds, or as much as it has held (`VmHWM:`); 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        with Path("/proc/self/status").open(encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
        return 0
    from nodegraph.machine import peak_memory

    return peak_memory().get("cpu", 0)


def available() -> int | None:
    """Return the bytes of RAM that are free for use, None where nobody tells."""
    with suppress(OSError, ValueError, IndexError), Path("/proc/meminfo").open(encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return min(int(line.split()[1]) * 1024, total_memory())
    return None


def release(cache: MutableMapping[str, Entry] | None) -> list[str]:
    """Give back all memory that can be made again; return in words what was done."""
    tried = []
    if isinstance(cache, MemoryCache):
        ram, gpu = cache.free(ram=sys.maxsize // 2, gpu=sys.maxsize // 2)
        tried.append(f"emptied the cache of results ({told(ram + gpu)})")
    manager = sys.modules.get("nodegraph.diffusion.memory.manager")
    if manager is not None:  # not imported to learn that no network was used
        tried.append(f"let go of networks ({told(manager.active().free())})")
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        tried.append("gave unused GPU memory back")
    return tried


def free_words(device: str | None) -> str:
    """Return in words how much memory is free on a device."""
    torch = sys.modules.get("torch")
    if device is not None and device.startswith("cuda") and torch is not None and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info(torch.device(device))
        return f"{told(free)} of {told(total)} are free on {device}"
    free = available()
    return "" if free is None else f"{told(free)} of {told(total_memory())} RAM are free"


def told(size: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def is_exhausted(error: BaseException) -> bool:
    """Tell whether an error, or what it came from, is a lack of memory."""
    torch = sys.modules.get("torch")
    kinds: tuple[type[BaseException], ...] = (MemoryError,)
    if torch is not None:
        kinds = (*kinds, torch.OutOfMemoryError)
    return any(
        isinstance(cause, kinds) or (isinstance(cause, RuntimeError) and "can't allocate memory" in str(cause))
        for cause in _causes(error)
    )


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error, or what it came from, is a lack of room on a disk."""
    return any(isinstance(cause, OSError) and cause.errno in NO_SPACE for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _cuda() -> range:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return range(0)
    return range(torch.cuda.device_count())
