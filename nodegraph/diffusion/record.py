"""The repro record that is stored in pictures: what made them, exactly enough to make them again."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = ("torch", "numpy", "safetensors", "pillow")


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that the numbers depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def placement(device: str | None, dtype: str | None) -> dict[str, Any]:
    """Return the device and the precision that networks run at, as asked for or by default.

    Raises ValueError for a device or a precision that is not there.
    """
    import torch

    from nodegraph.diffusion.devices import default_device, default_dtype, parse_device, parse_dtype

    chosen = parse_device(device) if device else default_device()
    precision = parse_dtype(dtype) if dtype else default_dtype(chosen)
    told: dict[str, Any] = {"device": str(chosen), "dtype": str(precision).removeprefix("torch.")}
    if chosen.type == "cuda":
        told["device_name"] = torch.cuda.get_device_name(chosen)
    elif chosen.type == "cpu":  # its instructions decide in what order sums are taken
        told["device_name"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return told
