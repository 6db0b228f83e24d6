"""What a node says of itself: its schema, and that its results are what it declares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_origin

from pydantic import ValidationError

from nodegraph.engine.errors import PluginError
from nodegraph.engine.expansion import Expansion
from nodegraph.engine.marks import Step
from nodegraph.engine.schema import node_schema
from nodegraph.engine.spec import MISSING, InputPort, NodeSpec, PortType
from nodegraph.engine.types import bare, members, metadata
from nodegraph.engine.values import verify
from nodegraph.testing.bench import Bench
from nodegraph.testing.errors import ContractError

LONGEST = 200
"""Characters of a docstring's first sentence, which stands in lists."""


def schema(bench: Bench) -> None:
    """Check what a node declares: its text, and that each input can be drawn, typed and checked."""
    spec = bench.spec
    problems = [*_texts(spec), *_verified(spec)]
    for port in spec.inputs.values():
        problems += _input(port)
    if problems:
        raise ContractError("\n".join(f"{bench.case}: {problem}" for problem in problems))


def _texts(spec: NodeSpec) -> Iterator[str]:
    first = spec.doc.partition("\n")[0].strip()
    if not first:
        yield "it has no docstring, which is its help: write one sentence that says what it does"
    elif not first.endswith((".", "!", "?")):
        yield f"the docstring's first line is no sentence of its own: {first!r}; end it with a full stop"
    elif len(first) > LONGEST:
        yield f"the docstring's first sentence has {len(first)} characters; say it in {LONGEST}, and the rest below"
    if not spec.category:
        yield "it has no category: name its place in the menus, @node(..., category='image/filter')"
    if "." not in spec.id and not spec.function.__module__.startswith("nodegraph.nodes"):
        yield f"its id has no namespace: call it 'pack.{spec.id}', with your pack's name"
    for name in (*spec.inputs, *spec.outputs):
        if name.startswith("_"):
            yield f"`{name}` is a name that people see: begin it with a letter"
    if not spec.outputs and not spec.output:
        yield "it gives nothing and is no sink, so no run reaches it: @node(..., output=True), or give a result"


def _verified(spec: NodeSpec) -> Iterator[str]:
    try:
        verify(spec)
        json.dumps(node_schema(spec), allow_nan=False)
    except PluginError as error:
        yield str(error)
    except (TypeError, ValueError) as error:
        yield f"its JSON Schema cannot be written ({error}): defaults and choices must be values of JSON"


def _input(port: InputPort) -> Iterator[str]:
    if port.choices is not None:
        names = port.choices()
        if not names:
            yield f"`{port.name}` has no choices at all"
        elif port.default not in (MISSING, None) and port.type.dump(port.default) not in names:
            yield f"the default of `{port.name}` is {port.default!r}, which is none of its choices"
    schema = port.type.schema or {}
    bounded = schema if "anyOf" not in schema else next((part for part in schema["anyOf"] if "minimum" in part), {})
    low, high = bounded.get("minimum"), bounded.get("maximum")
    if low is not None and high is not None and low > high:
        yield f"`{port.name}` lies between {low} and {high}, where nothing is: exchange ge and le"
    for mark in metadata(port.type.annotation):
        if isinstance(mark, Step):
            if not mark.size > 0:
                yield f"the step of `{port.name}` is {mark.size}, expected more than 0"
            elif low is not None and high is not None and mark.size > high - low > 0:
                yield f"the step of `{port.name}` is {mark.size}, more than all that lies between {low} and {high}"
    if bare(port.type.annotation) is object:
        yield f"`{port.name}` takes an `object`: say `Any` where anything fits, else the type"


def outputs(bench: Bench) -> None:
    """Check that a node gives what its annotation says."""
    try:
        given = bench.give()
    except TypeError as error:  # of `outputs_of`
        raise ContractError(f"{bench.case}: {error}; the annotation says ({_declared(bench.spec)})") from error
    if isinstance(given, Expansion):
        given = bench.run()
    for name, port in bench.spec.outputs.items():
        wrong = misfit(port.type, given[name])
        if wrong is not None:
            raise ContractError(f"{bench.case}: its output `{name}` {wrong}")


def _declared(spec: NodeSpec) -> str:
    return ", ".join(f"{name}: {port.type.name}" for name, port in spec.outputs.items())


def _frozen(kind: type) -> bool:
    """Tell whether instances of a dataclass cannot be changed."""
    return bool(kind.__dict__["__dataclass_params__"].frozen if "__dataclass_params__" in kind.__dict__ else True)


def misfit(kind: PortType, value: Any) -> str | None:
    """Return why a value is not of a type; None where it is."""
    if is_dataclass(value) and not isinstance(value, type) and not _frozen(type(value)):
        name = type(value).__name__
        return f"is a {name}, which can be changed though it may sit in the cache: @dataclass(frozen=True)"
    if kind.item is not None and isinstance(value, (list, tuple)):
        found = ((index, misfit(kind.item, item)) for index, item in enumerate(value))
        return next((f"has an item {index} that {wrong}" for index, wrong in found if wrong is not None), None)
    got = f"is a {type(value).__module__}.{type(value).__qualname__}, the annotation says {kind.name}"
    if bare(kind.annotation) in (Any, object):
        return None
    if kind.data:
        try:
            kind.adapter.validate_python(value, strict=True)
            json.dumps(kind.dump(value))
        except ValidationError as error:
            return f"{got} ({error.errors(include_url=False)[0]['msg']})"
        except (TypeError, ValueError) as error:
            return f"{got}, but it cannot be written as JSON: {error}"
        return None
    classes = tuple(get_origin(member) or member for member in members(kind.annotation))
    checkable = all(isinstance(member, type) for member in classes)
    return None if not checkable or isinstance(value, classes) else got
