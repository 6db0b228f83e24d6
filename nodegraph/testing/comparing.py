"""Whether two results are the same, and if not where they differ."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.engine.mutation import fingerprint

DEEPEST = 50


def difference(first: Any, second: Any, place: str = "", depth: int = 0) -> str | None:
    """Return where two values differ and how, in words; None where they are the same. NaN is the same as NaN."""
    where = place or "the result"
    if first is second or depth > DEEPEST:
        return None
    if type(first) is not type(second):
        return f"{where} is a {type(first).__name__} once and a {type(second).__name__} once"
    if isinstance(first, float):
        same = first == second or (math.isnan(first) and math.isnan(second))
        return None if same else f"{where} is {first!r} once and {second!r} once"
    if hasattr(first, "untyped_storage") or hasattr(first, "__array_interface__"):
        return _numbers(first, second, where)
    parts = _parts(first), _parts(second)
    if parts[0] is None or parts[1] is None:
        return _whole(first, second, where)
    if parts[0].keys() != parts[1].keys():
        return f"{where} has {len(parts[0])} parts once and {len(parts[1])} once"
    for name, part in parts[0].items():
        found = difference(part, parts[1][name], f"{place}{name}", depth + 1)
        if found is not None:
            return found
    return None


def _parts(value: Any) -> dict[str, Any] | None:
    """Return what a value is made of, by name; None for what is looked at as a whole."""
    if isinstance(value, Mapping):
        return {f"[{key!r}]": part for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", None) or [f"[{index}]" for index in range(len(value))]
        return {f".{name}" if not name.startswith("[") else name: part for name, part in zip(names, value, strict=True)}
    if is_dataclass(value) and not isinstance(value, type):
        return {f".{field.name}": getattr(value, field.name) for field in fields(value)}
    if isinstance(value, functools.partial):
        return {".func": value.func, ".args": value.args, ".keywords": value.keywords}
    if callable(value) and hasattr(value, "__code__"):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return {".code": value.__code__, ".closure": cells, ".defaults": value.__defaults__}
    if not _has_equality(value) and hasattr(value, "__dict__") and not hasattr(value, "named_parameters"):
        return {f".{name}": part for name, part in vars(value).items()} or None
    return None


def _whole(first: Any, second: Any, where: str) -> str | None:
    """Compare what has no parts: by its own equality, networks by their weights."""
    same = bool(first == second) if _has_equality(first) else fingerprint(first) == fingerprint(second)
    return None if same else f"{where} is {_brief(first)} once and {_brief(second)} once"


def _has_equality(value: object) -> bool:
    """Tell whether a class says itself what is equal to it."""
    return "__eq__" in {name for kind in type(value).__mro__[:-1] for name in vars(kind)}


def _numbers(first: Any, second: Any, where: str) -> str | None:
    """Compare tensors or arrays, whose not-a-numbers are the same."""
    shapes = tuple(first.shape), tuple(second.shape)
    if shapes[0] != shapes[1] or str(first.dtype) != str(second.dtype):
        return f"{where} is {first.dtype} {shapes[0]} once and {second.dtype} {shapes[1]} once"
    off = ~((first == second) | ((first != first) & (second != second)))
    count = int(off.sum())
    if count == 0:
        return None
    total = math.prod(shapes[0])
    return f"{where} differs in {count} of {total} numbers"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
