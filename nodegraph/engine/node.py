"""A typed function becomes a node: `@node` marks it, `spec_of` reads its ports from its annotations."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from nodegraph.engine.errors import PluginError
from nodegraph.engine.graph import Body
from nodegraph.engine.marks import Choices, File, KnownAs, Lazy, Mentions, Multiline, Step, Widget
from nodegraph.engine.spec import MISSING, InputPort, NodeSpec, OutputPort
from nodegraph.engine.types import bare, members, metadata, port_type, without_none

__all__ = [
    "Body",
    "Choices",
    "File",
    "KnownAs",
    "Lazy",
    "Mentions",
    "Multiline",
    "Step",
    "Widget",
    "is_node",
    "node",
    "spec_of",
]

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__nodegraph_node__"
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*([ .][A-Za-z0-9_-]+)*")
"""Other systems have ids with blanks, which their files name."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `@node` was told."""

    id: str
    title: str
    category: str
    version: str
    cache: bool
    output: bool
    settings: tuple[str, ...]
    aliases: tuple[str, ...]
    deprecated: str | None


def _names(id: str, name: str, values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise PluginError(f"@node({id!r}, {name}={values!r}): {name} is a sequence of names, such as ({values!r},)")
    return tuple(values)


def node(
    id: str,
    *,
    title: str = "",
    category: str = "",
    version: str = "1",
    cache: bool = True,
    output: bool = False,
    settings: Iterable[str] = (),
    aliases: Iterable[str] = (),
    deprecated: str | None = None,
) -> Callable[[F], F]:
    """Mark a typed function as the node `id` and return it unchanged.

    `version` is part of the name of each result: raise it when the node returns something else for the same inputs.
    `cache=False` runs the node each time, `output=True` makes it a sink that a run must reach, `settings` names the
    settings of the run (`device`, `dtype`) that change the result, `aliases` are ids it had before or has
    elsewhere, which may hold blanks, `deprecated` says what to use instead.
    """
    if not isinstance(id, str):
        raise PluginError(f"@node needs the node's id, as in @node('pack.Name'); got {id!r}")
    names = _names(id, "aliases", aliases)
    for name, form in [(id, _ID), *((name, _ALIAS) for name in names)]:
        if not form.fullmatch(name):
            raise PluginError(f"@node: {name!r} is not a node id; an id is 'pack.Name': letters, digits, '_', '-', '.'")
    chosen = _names(id, "settings", settings)
    options = Options(id, title, category, str(version), cache, output, chosen, names, deprecated)

    def mark(function: F) -> F:
        if not inspect.isroutine(function):
            raise PluginError(f"@node({id!r}) marks a function, not {function!r}")
        setattr(function, MARK, options)
        return function

    return mark


def is_node(function: object) -> bool:
    """Tell whether `@node` marked the function."""
    return isinstance(getattr(function, MARK, None), Options)


def spec_of(function: Callable[..., Any], *, plugin: str = "", plugin_version: str = "") -> NodeSpec:
    """Read the node type of a marked function.

    Raise `PluginError` where the function is not marked or an annotation is missing, unknown or cannot be a port.
    """
    options = getattr(function, MARK, None)
    if not isinstance(options, Options):
        name = getattr(function, "__name__", function)
        raise PluginError(f"{_place(function)}: {name!r} is not marked with @node(...)")
    where = f"{options.id} in {_place(function)}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{where}: a node returns its results, it does not yield them")
    hints = _hints(function, where)
    inputs, context = _inputs(function, hints, where)
    if "return" not in hints:
        raise PluginError(f"missing return type of {where}; write -> Image, say, or -> None for a node without outputs")
    outputs, named = _outputs(hints["return"], where)
    return NodeSpec(
        id=options.id, function=function, inputs=inputs, outputs=outputs, category=options.category,
        title=options.title, doc=inspect.getdoc(function) or "", version=options.version, plugin=plugin,
        plugin_version=plugin_version, cache=options.cache, output=options.output, settings=options.settings,
        aliases=options.aliases, deprecated=options.deprecated, context=context,
        is_async=inspect.iscoroutinefunction(function), named_outputs=named,
    )  # fmt: skip


def _inputs(
    function: Callable[..., Any], hints: Mapping[str, Any], where: str
) -> tuple[Mapping[str, InputPort], str | None]:
    """Return the inputs by name, and the name of the parameter that takes the `Context`."""
    inputs: dict[str, InputPort] = {}
    context: str | None = None
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PluginError(f"{where}: parameter {parameter} cannot be a port: each port has a name of its own")
        if name not in hints:
            raise PluginError(f"missing type hint for parameter {name!r} of {where}; write {name}: int, say")
        if _is_context(hints[name]):
            context = name
        else:
            inputs[name] = _input(name, hints[name], parameter.default, where)
    return inputs, context


def _place(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _hints(function: Callable[..., Any], where: str) -> Mapping[str, Any]:
    """Return the resolved annotations; name the one that does not resolve."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        name, text = _culprit(function)
        what = "return type" if name == "return" else f"type hint of parameter {name!r}"
        hint = ""
        if isinstance(error, NameError):
            hint = (
                f"; hints are read when the plugin is loaded: import {error.name} at the top of the module, "
                "not under TYPE_CHECKING or in a function"
            )
        raise PluginError(f"cannot resolve the {what} {text!r} of {where}: {error}{hint}") from error


def _culprit(function: Callable[..., Any]) -> tuple[str, str]:
    inner = inspect.unwrap(function)
    raw = dict(getattr(inner, "__annotations__", {}))
    for name, text in raw.items():
        alone = SimpleNamespace(__annotations__={name: text})
        try:
            typing.get_type_hints(alone, globalns=getattr(inner, "__globals__", {}), include_extras=True)
        except Exception:  # noqa: BLE001 - an annotation is any expression
            return name, str(text)
    return "return", str(raw.get("return"))


def _engine_class(module: str, name: str) -> Any:
    """Return a class of the engine that an annotation may name, without importing its module: the annotation did."""
    return getattr(sys.modules.get(f"nodegraph.engine.{module}"), name, None)


def _is_context(annotation: Any) -> bool:
    context = _engine_class("context", "Context")
    base = bare(without_none(annotation))
    return context is not None and isinstance(base, type) and issubclass(base, context)


def _input(name: str, annotation: Any, default: Any, where: str) -> InputPort:
    if default is inspect.Parameter.empty:
        default = MISSING
    elif type(default).__name__ == "FieldInfo":
        raise PluginError(
            f"{where}: the default of {name!r} is a Field(...), which a plain call would pass on; "
            f"write {name}: Annotated[T, Field(...)] = default"
        )
    inner = bare(without_none(annotation))
    lazy = get_origin(inner) is Lazy or inner is Lazy
    if lazy:
        annotation = get_args(inner)[0] if get_args(inner) else Any
    body = bare(without_none(annotation)) is Body
    kind = next((mark.kind for mark in metadata(annotation) if isinstance(mark, File)), None)
    mentions = next((mark for mark in metadata(annotation) if isinstance(mark, Mentions)), None)
    known_as = next((mark.name for mark in metadata(annotation) if isinstance(mark, KnownAs)), "")
    return InputPort(name, port_type(annotation), default, _choices(annotation), kind, mentions, known_as, lazy, body)


def _choices(annotation: Any) -> Callable[[], tuple[str, ...]] | None:
    """Return who tells the names that fit, for a text that is one of a few."""
    for mark in metadata(annotation):
        if isinstance(mark, Choices):
            return mark.names
    base = bare(without_none(annotation))
    values: tuple[Any, ...] = ()
    if get_origin(base) is Literal:
        values = get_args(base)
    elif isinstance(base, type) and issubclass(base, Enum):
        values = tuple(member.value for member in base)
    if not values or not all(isinstance(value, str) for value in values):
        return None
    names = tuple(str(value) for value in values)
    return lambda: names


def _outputs(annotation: Any, where: str) -> tuple[Mapping[str, OutputPort], bool]:
    """Return the outputs by name, and whether the function names them."""
    annotation = _without_expansion(annotation)
    base = bare(annotation)
    if base is type(None):
        return {}, False
    if isinstance(base, type) and issubclass(base, tuple) and hasattr(base, "_fields"):
        fields: tuple[str, ...] = base._fields
        try:
            hints = typing.get_type_hints(base, include_extras=True)
        except NameError as error:
            raise PluginError(f"cannot resolve the fields of {base.__name__}, returned by {where}: {error}") from error
        missing = [name for name in fields if name not in hints]
        if missing:
            raise PluginError(f"missing type hints for {missing} of {base.__name__}, returned by {where}")
        return {name: OutputPort(name, port_type(hints[name])) for name in fields}, True
    return {"out": OutputPort("out", port_type(annotation))}, False


def _without_expansion(annotation: Any) -> Any:
    """Return what the node gives in the end: `Image` for `Image | Expansion`, anything for `Expansion` alone."""
    expansion = _engine_class("expansion", "Expansion")
    if expansion is None:
        return annotation
    kept = [member for member in members(annotation) if member is not expansion]
    if len(kept) == len(members(annotation)):
        return annotation
    return functools.reduce(lambda left, right: Union[left, right], kept) if kept else Any  # noqa: UP007
