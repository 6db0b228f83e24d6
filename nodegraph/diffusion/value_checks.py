"""What values look at when they are made, and how they are shown; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def brief(value: object) -> str:
    """Return a value as a log line shows it: tensors by type and shape, networks by name."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{str(dtype).removeprefix('torch.')} {tuple(shape)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(brief, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {brief(item)}' for key, item in value.items())}}}"
    if hasattr(value, "named_parameters"):  # a network's own repr takes hundreds of lines
        return type(value).__name__
    return repr(value)


def check_rank(place: str, tensor: Tensor, shape: str) -> None:
    """Raise ValueError for a tensor of another number of dimensions than `shape`, such as `(B, H, W)`, has."""
    if tensor.ndim != shape.count(",") + 1:
        raise ValueError(f"{place}: got shape {tuple(tensor.shape)}, expected {shape}")


def check_float32(place: str, tensor: Tensor) -> None:
    """Raise TypeError for a tensor of another precision."""
    if str(tensor.dtype) != "torch.float32":
        raise TypeError(f"{place}: got {tensor.dtype}, expected torch.float32")


def check_origins(place: str, origins: Sequence[object], batch: Tensor) -> None:
    """Raise ValueError unless there is an origin for each sample of a batch, or none at all."""
    if origins and len(origins) != batch.shape[0]:
        raise ValueError(f"{place}: got {len(origins)}, expected {batch.shape[0]}, one a sample, or none")
