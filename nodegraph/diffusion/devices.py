"""Where networks run and at which precision, by default."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

DTYPES = {
    **dict.fromkeys(("fp32", "float32", "f32"), torch.float32),
    **dict.fromkeys(("fp16", "float16", "f16", "half"), torch.float16),
    **dict.fromkeys(("bf16", "bfloat16"), torch.bfloat16),
}

CPU_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""How Linux names a processor's own bf16 arithmetic (the last on ARM)."""


def parse_dtype(name: str) -> torch.dtype:
    """Return the precision of that name (`fp32`, `fp16`, `bf16`); raise ValueError for another."""
    try:
        return DTYPES[name.strip().lower()]
    except KeyError as error:
        raise ValueError(f"unknown precision {name!r}: expected fp32, fp16 or bf16") from error


def parse_device(name: str) -> torch.device:
    """Return the device of that name; raise ValueError, telling which there are, where it cannot be used here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        there = ", ".join(devices())
        raise ValueError(f"the device {name!r} cannot be used on this machine: there is {there}") from error
    return device


def devices() -> list[str]:
    """Return the names of the devices of this machine."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return names + ["mps"] * torch.backends.mps.is_available()


def default_device() -> torch.device:
    """Return the fastest device at hand."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def default_dtype(device: torch.device | str) -> torch.dtype:
    """Return the precision that suits a device: bf16 where it is native, fp16 on other GPUs, else fp32."""
    device = torch.device(device)
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= 8 else torch.float16
    if device.type == "mps":
        return torch.float16
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32


@cache
def cpu_has_bf16() -> bool:
    """Tell whether the processor multiplies bf16 natively (AMX, AVX512-bf16, ARM's bf16)."""
    # torch's own probes are private and were renamed between releases; /proc tells where they are gone.
    probes = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
    if any(probe() for probe in probes if probe is not None):
        return True
    return any(flag in CPU_FLAGS for flag in cpu_flags())


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the features of the first processor that Linux lists; none elsewhere."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return frozenset(value.split())
    return frozenset()
