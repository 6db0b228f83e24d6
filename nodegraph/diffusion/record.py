"""The repro record that is stored in pictures: what made them, exactly enough to make them again."""

from __future__ import annotations

import platform
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, entry_points, version
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


def extensions(names: Collection[str]) -> dict[str, str]:
    """Return the plugins, with their versions, that brought the samplers and schedulers among `names`."""
    from nodegraph.diffusion.registry import BUILT_IN, active

    return {
        f"{kind.removesuffix('s')} {name}": f"{plugin} {_version_of(plugin)}".strip()
        for (kind, name), plugin in active().owners.items()
        if name in names and kind in ("samplers", "schedulers") and (kind, name) not in BUILT_IN.owners
    }


def _version_of(plugin: str) -> str:
    """Return the version of the distribution that a plugin comes from, known by its entry point."""
    found = (entry.dist for entry in entry_points(group="nodegraph", name=plugin))
    return next((dist.version for dist in found if dist is not None), "")


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
