"""Finds nodes that change what they were given: inputs are read-only, for they may sit in the cache."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.engine.errors import NodegraphError


class MutationError(NodegraphError):
    """A node that changed an input."""


def fingerprint(value: object) -> int:
    """Return a number that changes when something in `value` is changed in place.

    It looks into lists, tuples, dicts, sets, dataclasses, tensors, arrays and networks; any other object counts as
    unchanging. Weights off the CPU are not looked at: moving them is no change.
    """
    total = 0
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if item is None or isinstance(item, (bool, int, float, complex, str, bytes)):
            total = zlib.crc32(repr(item).encode("utf-8", "surrogatepass"), total)
        elif id(item) not in seen:
            seen.add(id(item))
            total = zlib.crc32(type(item).__qualname__.encode(), total)
            total = _look_into(item, stack, total)
    return total


def _look_into(item: Any, stack: list[object], total: int) -> int:
    """Put what an object holds on the stack, or add its bytes."""
    if isinstance(item, (list, tuple)):
        stack.extend(item)
        return zlib.crc32(str(len(item)).encode(), total)
    if isinstance(item, Mapping):
        stack.extend(part for pair in item.items() for part in pair)
        return zlib.crc32(str(len(item)).encode(), total)
    if isinstance(item, (set, frozenset)):
        stack.extend(sorted(item, key=repr))
        return zlib.crc32(str(len(item)).encode(), total)
    if is_dataclass(item) and not isinstance(item, type):
        stack.extend(getattr(item, field.name) for field in fields(item))
    elif callable(getattr(item, "untyped_storage", None)):
        return _tensor(item, total)
    elif hasattr(item, "__array_interface__") and callable(getattr(item, "tobytes", None)):
        return zlib.crc32(item.tobytes(), total)
    elif callable(getattr(item, "parameters", None)) and callable(getattr(item, "buffers", None)):
        weights = (*item.parameters(), *item.buffers())
        stack.extend(weight for weight in weights if weight.device.type == "cpu")
    return total


def _tensor(tensor: Any, total: int) -> int:
    """Add the bytes of a tensor on the CPU; of another its count of changes in place, where it has one."""
    total = zlib.crc32(repr((tuple(tensor.shape), str(tensor.dtype), tensor.device.type)).encode(), total)
    try:
        if tensor.device.type != "cpu":
            return zlib.crc32(str(tensor._version).encode(), total)
        storage = tensor.untyped_storage()
        if storage.nbytes() == 0:
            return total
        # Through the address, for this must not know torch, and numpy has no bfloat16.
        data = (ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr())
        return zlib.crc32(memoryview(data), total)
    except (RuntimeError, NotImplementedError):  # no storage (sparse), or no count (made in inference mode)
        return total


def fingerprints(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Return the fingerprint of each input."""
    return {name: fingerprint(value) for name, value in inputs.items()}


def refuse_changes(inputs: Mapping[str, Any], before: Mapping[str, int]) -> None:
    """Raise `MutationError` where inputs are not what they were."""
    changed = [name for name, number in before.items() if fingerprint(inputs[name]) != number]
    if changed:
        told = " and ".join(f"`{name}`" for name in changed)
        raise MutationError(f"it changed its input {told} in place; inputs are read-only, work on a copy")
