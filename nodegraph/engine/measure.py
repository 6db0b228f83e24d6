"""How many bytes a value holds, without knowing torch or numpy: storages are told by what they answer to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple


class Storage(NamedTuple):
    """A block of memory that several values may share."""

    bytes: int
    gpu: bool


@dataclass(slots=True)
class Footprint:
    """What a value holds: `plain` bytes of Python objects, and storages by an identity that sharers have in common."""

    plain: int = 0
    storages: dict[object, Storage] = field(default_factory=dict)
    modules: bool = False
    """It holds a network, whose weights may move between RAM and GPU later."""

    @property
    def ram(self) -> int:
        """Return the bytes in RAM, counting shared storages as its own."""
        return self.plain + sum(storage.bytes for storage in self.storages.values() if not storage.gpu)

    @property
    def gpu(self) -> int:
        """Return the bytes on GPUs, counting shared storages as its own."""
        return sum(storage.bytes for storage in self.storages.values() if storage.gpu)


def measure(value: object) -> Footprint:
    """Return what `value` holds: tensors and arrays by their storage, once each, wherever they sit in it."""
    found = Footprint()
    seen: set[int] = set()
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind in _SMALL:
            found.plain += 32
        elif kind is str or kind is bytes:
            found.plain += sys.getsizeof(item)
        elif id(item) not in seen:
            seen.add(id(item))
            if kind is dict:
                found.plain += sys.getsizeof(item)
                stack.extend(item)
                stack.extend(item.values())
            else:
                _weigh(item, found, stack)
    return found


_SMALL: Final = frozenset({int, float, bool, type(None), complex})
_WEIGHTLESS: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def _weigh(item: Any, found: Footprint, stack: list[object]) -> None:
    """Add one object that is not a scalar, and put what it holds on the stack."""
    if isinstance(item, _WEIGHTLESS):
        return
    found.plain += _size(item)
    if isinstance(item, (list, tuple, set, frozenset)):
        stack.extend(item)
    elif isinstance(item, Mapping):
        stack.extend(item.keys())
        stack.extend(item.values())
    elif _tensor(item, found) or _array(item, found):
        return
    elif callable(getattr(item, "parameters", None)) and callable(getattr(item, "buffers", None)):
        found.modules = True
        stack.extend(item.parameters())
        stack.extend(item.buffers())
    else:
        stack.extend(_attributes(item))


def _size(item: object) -> int:
    try:
        return sys.getsizeof(item)
    except TypeError:  # an object whose size cannot be told
        return 64


def _tensor(item: Any, found: Footprint) -> bool:
    """Add a torch tensor: its whole storage, which views of it share."""
    storage_of: Callable[[], Any] | None = getattr(item, "untyped_storage", None)
    if not callable(storage_of):
        return False
    device = str(getattr(getattr(item, "device", None), "type", "cpu"))
    if device == "meta":
        return True
    try:
        storage = storage_of()
        key, size = (device, storage.data_ptr()), int(storage.nbytes())
    except (RuntimeError, NotImplementedError):  # a sparse tensor has no single storage
        key, size = (device, -id(item)), int(getattr(item, "nbytes", 0))
    found.storages[key] = Storage(size, device != "cpu")
    return True


def _array(item: Any, found: Footprint) -> bool:
    """Add a numpy array: the array that owns the memory, which views of it share."""
    if not hasattr(item, "__array_interface__") or not hasattr(item, "nbytes"):
        return False
    while getattr(item, "base", None) is not None and hasattr(item.base, "__array_interface__"):
        item = item.base
    found.storages["array", id(item)] = Storage(int(item.nbytes), False)
    return True


def _attributes(item: object) -> list[object]:
    held = list(getattr(item, "__dict__", {}).values())
    for kind in type(item).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            held.append(getattr(item, name, None))
    return held
