"""Recipes: the names of results. A recipe is the hash of all that a result was made from, never of the result itself.

`canonical` writes a value so that equal texts mean equal values; the rest of the engine only joins such texts and
hashes them. Integers are written exactly, floats by their shortest exact form, and `1`, `1.0` and `True` differ. What
has no canonical form raises `UncacheableError`: such a node runs each time, a wrong hit is never possible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

FORMAT: Final = "nodegraph recipe 1"
"""Enters each recipe, so that a change of this module's rules never meets results named by the old ones."""

FLEETING: Final = "~"
"""The first character of a name that holds for one run only: nothing is kept under it."""


class UncacheableError(ValueError):
    """A value without a canonical form, or a node whose results must not be kept; the text tells why."""


def canonical(value: object) -> str:
    """Return a text that only values equal to `value` have; raise `UncacheableError` where there is none.

    The text is ASCII without line breaks.
    """
    write = _SCALARS.get(type(value))
    if write is not None:
        return write(value)
    try:
        return _compound(value)
    except RecursionError:
        raise UncacheableError(f"a {type(value).__name__} holds itself or is nested too deep") from None


def digest(parts: Iterable[str]) -> str:
    """Return the recipe (64 hexadecimal digits) made of `parts`, which hold no line breaks."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def value_name(value: object) -> str:
    """Return the name of a result known by its value; raise `UncacheableError` where it has no canonical form."""
    return f"={digest((FORMAT, canonical(value)))}"


_SCALARS: Final[Mapping[type, Callable[[Any], str]]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: float.__repr__,
    bool: bool.__repr__,
    type(None): repr,
}


def _compound(value: object) -> str:
    match value:
        case list():
            return f"[{','.join(map(canonical, value))}]"
        case tuple() if type(value) is tuple:
            return f"({','.join(map(canonical, value))})"
        case dict():
            pairs = sorted((canonical(key), canonical(item)) for key, item in value.items())
            return f"{{{','.join(f'{key}:{item}' for key, item in pairs)}}}"
        case set() | frozenset():
            return f"set({','.join(sorted(map(canonical, value)))})"
        case bytes():
            return f"bytes:{value.hex()}"
        case Enum():
            return _tagged(value, value.name)
    return _instance(value)


def _instance(value: object) -> str:
    """Write an instance of a class whose state is known in full."""
    if isinstance(value, (datetime, date, time)):
        return _tagged(value, value.isoformat())
    if isinstance(value, (PurePath, Decimal, UUID, complex)):
        return _tagged(value, str(value))
    if isinstance(value, timedelta):
        return _tagged(value, (value.days, value.seconds, value.microseconds))
    if is_dataclass(value) and not isinstance(value, type):
        return _tagged(value, {field.name: getattr(value, field.name) for field in fields(value)})
    model_fields = getattr(type(value), "model_fields", None)  # a pydantic model
    if isinstance(model_fields, Mapping):
        extra = getattr(value, "model_extra", None) or {}
        return _tagged(value, {**{name: getattr(value, name) for name in model_fields}, **extra})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _tagged(value, tuple(value))
    raise UncacheableError(f"a {type(value).__module__}.{type(value).__qualname__} has no canonical form")


def _tagged(value: object, state: object) -> str:
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__} {canonical(state)}>"
