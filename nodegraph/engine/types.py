"""Types of ports: what an annotation means, whether it can be typed in a file, and which output fits which input."""

from __future__ import annotations

import collections.abc
import types
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from nodegraph.engine.spec import PortType

_SCALARS = (bool, int, float, str)
_TEXTUAL = (PurePath, date, datetime, time, timedelta, Decimal, UUID)
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_CONTAINERS = (*_LISTS, tuple, dict, set, frozenset, collections.abc.Mapping)


def bare(annotation: Any) -> Any:
    """Return the type without its metadata, aliases and new names resolved, a type variable as its bound."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            annotation = Any if annotation.__bound__ is None else annotation.__bound__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return type(None) if annotation is None else annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in members(member))
    return (annotation,)


def without_none(annotation: Any) -> Any:
    """Return `T` for `T | None`, keeping metadata, and anything else as it is."""
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [member for member in get_args(annotation) if member not in (None, type(None))]
        return kept[0] if len(kept) == 1 else annotation
    return annotation


def metadata(annotation: Any) -> tuple[Any, ...]:
    """Return what stands beside the type in `Annotated`, through `| None`."""
    found: tuple[Any, ...] = ()
    annotation = without_none(annotation)
    while get_origin(annotation) is Annotated:
        found += annotation.__metadata__
        annotation = without_none(get_args(annotation)[0])
    return found


def type_name(annotation: Any) -> str:
    """Return the name of a type as people see it."""
    annotation = bare(annotation)
    if annotation in (Any, object):
        return "any"
    if annotation is type(None):
        return "None"
    parts = members(annotation)
    if len(parts) > 1:
        return " | ".join(dict.fromkeys(type_name(part) for part in parts))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(dict.fromkeys(type_name(type(value)) for value in arguments))
    if origin is not None:
        inner = ", ".join("..." if a is ... else type_name(a) for a in arguments if not isinstance(a, list))
        return f"{type_name(origin)}[{inner}]" if inner else type_name(origin)
    return getattr(annotation, "__name__", None) or str(annotation)


def is_data(annotation: Any) -> bool:
    """Tell whether values of the type can be typed: pydantic can give it a JSON Schema.

    A dataclass or a named tuple is a value on a wire: it may hold tensors, and what makes it is a node.
    """
    annotation = bare(annotation)
    parts = members(annotation)
    if len(parts) > 1:
        return all(is_data(part) for part in parts)
    if annotation in (Any, object, type(None), *_SCALARS, *_CONTAINERS):
        return True
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin in _CONTAINERS:
        return all(argument is ... or is_data(argument) for argument in get_args(annotation))
    base = origin or annotation
    if not isinstance(base, type):
        return False
    return issubclass(base, (Enum, *_TEXTUAL)) or _is_typed_dict(base) or _is_model(base)


def _is_model(base: type) -> bool:
    """Tell whether `base` is a pydantic model or says itself how pydantic is to read it."""
    return hasattr(base, "__pydantic_validator__") or "__get_pydantic_core_schema__" in vars(base)


def _is_typed_dict(base: type) -> bool:
    """Tell whether `base` is a `TypedDict`, of `typing` or of `typing_extensions`."""
    return issubclass(base, dict) and hasattr(base, "__required_keys__")


def item_of(annotation: Any) -> Any:
    """Return the annotation of a list's items, or None for anything that is not a list."""
    annotation = bare(without_none(annotation))
    if annotation in _LISTS:
        return Any
    if get_origin(annotation) in _LISTS:
        return get_args(annotation)[0]
    return None


@lru_cache(maxsize=4096)
def _port_type(annotation: Any) -> PortType:
    item = item_of(annotation)
    inner = None if item is None else port_type(item)
    return PortType(type_name(annotation), annotation, is_data(annotation), inner)


def port_type(annotation: Any) -> PortType:
    """Return the port type of an annotation; equal annotations share one."""
    try:
        return _port_type(annotation)
    except TypeError:  # metadata that cannot be hashed
        return _port_type.__wrapped__(annotation)


def list_of(item: PortType) -> PortType:
    """Return the type of a list of `item`s, which a mapped node gives."""
    return port_type(types.GenericAlias(list, (item.annotation,)))


def accepts(target: Any, source: Any) -> bool:
    """Tell whether every value of type `source` may go where `target` is asked for.

    Choices take any text: whether it is one of theirs is known when the value is.
    """
    sources, targets = members(source), members(target)
    if len(sources) > 1:
        return all(accepts(target, member) for member in sources)
    if len(targets) > 1:
        return any(accepts(member, source) for member in targets)
    source, target = sources[0], targets[0]
    if target in (Any, object) or source in (Any, object):
        return True
    if get_origin(source) is Literal:
        return all(accepts(target, type(value)) for value in get_args(source))
    if get_origin(target) is Literal:
        return any(accepts(type(value), source) for value in get_args(target))
    if _is_text_choice(target) and source is str:
        return True
    return _accepts_class(target, source)


def _is_text_choice(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, Enum) and any(isinstance(m.value, str) for m in target)


def _accepts_class(target: Any, source: Any) -> bool:
    wanted, given = get_origin(target) or target, get_origin(source) or source
    if not (isinstance(wanted, type) and isinstance(given, type)):
        return bool(target == source)
    if given is int and wanted is float:
        return True
    if given is bool and wanted in (int, float):
        return False
    if _is_typed_dict(wanted):
        return given is wanted or given is dict
    try:
        if not issubclass(given, wanted):
            return False
    except TypeError:  # a protocol that cannot be checked at run time
        return False
    return _accepts_arguments(target, source)


def _accepts_arguments(target: Any, source: Any) -> bool:
    """Compare `list[int]` with `list[float]`; a type without arguments takes any."""
    wanted, given = get_args(target), get_args(source)
    if not wanted or not given or len(wanted) != len(given):
        return True
    pairs = zip(wanted, given, strict=True)
    return all(
        w == g or w is ... or g is ... or isinstance(w, list) or isinstance(g, list) or accepts(w, g) for w, g in pairs
    )


Fit = Literal["whole", "mapped"]


@lru_cache(maxsize=65536)
def fit(source: PortType, target: PortType) -> Fit | None:
    """Tell how an output fits an input: as it is, item by item (the node is mapped over the list), or not at all."""
    if accepts(target.annotation, source.annotation):
        return "whole"
    if source.item is not None and accepts(target.annotation, source.item.annotation):
        return "mapped"
    return None
