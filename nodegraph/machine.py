"""What the machine has: memory in all and at most used, and where the user's files are."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

GPU_RESULTS, GPU_NETWORKS = 0.1, 0.7
"""Parts of a GPU's memory that results and networks may take."""
RAM_NETWORKS = 0.4
"""Part of the RAM that networks which run on the CPU may take, pages of their files among it."""
UNKNOWN_MEMORY = 8 * 2**30
"""Bytes assumed where the system does not tell."""


def total_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes of RAM that this process may use: the machine's, or its container's if that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told, or no POSIX system
        total = UNKNOWN_MEMORY
    try:
        return min(total, int(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return total


def calm_threads() -> None:
    """Have torch's threads sleep soon while they wait for one another, unless the user has said how they shall wait.

    By default they spin for milliseconds, and where two of them share a core (other programs, virtual machines) each
    waits for the other's time slice: a small network then takes a hundred times as long. Works until torch is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def gpu_budget(device: str) -> int | None:
    """Return the bytes of a GPU that results may take; None for other devices."""
    return int(_gpu_memory(device) * GPU_RESULTS) if device.startswith("cuda") else None


def network_budget(device: str, workers: int = 1) -> int:
    """Return the bytes of a device that networks may take, where `workers` share the RAM; the rest is for work."""
    if device.startswith("cuda"):
        return int(_gpu_memory(device) * GPU_NETWORKS)
    return int(total_memory() * RAM_NETWORKS / workers)


def _gpu_memory(device: str) -> int:
    import torch

    return torch.cuda.mem_get_info(torch.device(device))[1]


def peak_memory() -> dict[str, int]:
    """Return the bytes that this process has held at most, by device."""
    peaks = {"cpu": _peak_resident()}
    torch = sys.modules.get("torch")  # not imported just to learn that it was not used
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        for index in range(torch.cuda.device_count()):
            peaks[f"cuda:{index}"] = torch.cuda.max_memory_allocated(index)
    return {device: size for device, size in peaks.items() if size}


def _peak_resident() -> int:
    if sys.platform == "win32":  # the standard library does not tell it there
        return 0
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def user_cache() -> Path:
    """Return the folder in which the user's system keeps caches, for nodegraph alone."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nodegraph"


def user_data() -> Path:
    """Return the folder in which the user's system keeps what programs make, for nodegraph alone."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "nodegraph" / "data"  # the caches are in the same place there
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "nodegraph"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "nodegraph"


def user_config() -> Path:
    """Return the folder in which the user's system keeps settings, for nodegraph alone."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "nodegraph"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "nodegraph"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "nodegraph"


def remove_old(folder: Path, seconds: float) -> None:
    """Remove the files of a folder that have not changed for so long; what cannot be removed stays."""
    oldest = time.time() - seconds
    for path in folder.glob("*") if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
