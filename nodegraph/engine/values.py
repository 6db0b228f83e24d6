"""Typed values: what a file says for an input, checked strictly, and told well when it does not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nodegraph.engine.errors import SHOWN, NodegraphError, PluginError, told
from nodegraph.engine.folders import FolderError, Folders
from nodegraph.engine.jsontext import json_problems, scalar_problem
from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec, PortType
from nodegraph.engine.types import bare, members

_PLAIN = (bool, int, float, str)
_DEPTH = 100


class MisfitError(NodegraphError):
    """A value that does not fit an input, and what would."""

    def __init__(self, code: str, message: str, expected: str = "", near: object = None) -> None:
        self.code, self.message, self.expected, self.nearest = code, message, expected, near
        super().__init__(message)


class Values:
    """Checks typed values; what folders and providers of choices say is asked once and remembered."""

    def __init__(self, folders: Folders | None = None) -> None:
        self._folders = folders
        self._choices: dict[int, tuple[str, ...]] = {}
        self._files: dict[tuple[str, str], str | MisfitError] = {}

    def check(self, port: InputPort, value: Json) -> Any:
        """Return the Python value that a JSON value stands for, or raise `MisfitError`."""
        kind = port.type
        if value is None and type(None) in members(kind.annotation):
            return None
        if not kind.data:
            what = f"a wire from an output of type {kind.name}"
            raise MisfitError("wire_only", f"got {told(value)}; expected {what}: this input cannot be typed", what)
        if isinstance(value, str) and (port.choices is not None or port.file is not None):
            value = self._named(port, value)
        return _typed(kind, value)

    def arrived(self, port: InputPort, value: Any) -> Any:
        """Return what came by a wire as the port takes it, or raise `MisfitError`.

        The types of both ends were checked before; this finds what only a value tells: a text that is no choice, a
        number out of bounds, an output of type `Any` that gave something else.
        """
        kind = port.type
        if not kind.data:
            classes = tuple(get_origin(member) or member for member in members(kind.annotation))
            if all(isinstance(member, type) for member in classes) and not isinstance(value, classes):
                raise MisfitError(
                    "wrong_type", f"got a value of type {type(value).__name__}; expected {kind.name}", kind.name
                )
            return value
        if value is None or type(value) in _PLAIN:
            return self.check(port, value)
        try:
            return kind.adapter.validate_python(value, strict=True)
        except ValidationError as error:
            message = f"got a value of type {type(value).__name__}; expected {describe(kind)}{_inner(error)}"
            raise MisfitError("wrong_type", message, describe(kind)) from error

    def _named(self, port: InputPort, value: str) -> str:
        if port.choices is not None:
            names = self.choices(port)
            if value not in names:
                expected = f"one of {_listed(names)}" if names else "a name, but none is registered"
                raise MisfitError(
                    "unknown_choice", f"got {told(value)}; expected {expected}", expected, nearest(value, names)
                )
        if port.file is not None and self._folders is not None:
            return self._file(self._folders, port.file, value)
        return value

    def choices(self, port: InputPort) -> tuple[str, ...]:
        """Return the names that fit a port, or raise `MisfitError` where its provider fails."""
        if port.choices is None:
            return ()
        key = id(port)
        if key not in self._choices:
            try:
                self._choices[key] = tuple(port.choices())
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                raise MisfitError("no_choices", f"the choices of {port.name!r} cannot be told ({text})") from error
        return self._choices[key]

    def _file(self, folders: Folders, kind: str, name: str) -> str:
        key = (kind, name)
        if key not in self._files:
            try:
                folders.path(kind, name, hint=len(self._files) < SHOWN)
                self._files[key] = folders.plain(name)
            except FolderError as error:
                self._files[key] = MisfitError("unknown_file", error.message, f"a file among the {kind}", error.nearest)
        found = self._files[key]
        if isinstance(found, MisfitError):
            raise MisfitError(found.code, found.message, found.expected, found.nearest)
        return found


def verify(spec: NodeSpec) -> None:
    """Raise `PluginError` where a type that can be typed has no JSON Schema, or a default does not fit its type."""
    for port in spec.inputs.values():
        if not port.type.data or port.body:
            continue
        try:
            _ = port.type.schema
        except Exception as error:
            text = str(error).partition("\n")[0]
            raise PluginError(f"the type of {port.name!r} of {spec.id} has no JSON Schema: {text}") from error
        if port.default is MISSING or port.default is None:
            continue
        try:
            _typed(port.type, port.type.dump(port.default))
        except MisfitError as misfit:
            raise PluginError(f"the default of {port.name!r} of {spec.id} does not fit it: {misfit}") from misfit


def _typed(kind: PortType, value: Json) -> Any:
    """Check a value against the port's Python type, strictly."""
    wrong = scalar_problem(value) if type(value) in _PLAIN else _json_problem(value)
    if wrong is not None:
        raise MisfitError("not_json", wrong, describe(kind))
    try:
        if bare(kind.annotation) in _PLAIN:
            return kind.adapter.validate_python(value, strict=True)
        return kind.adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise _misfit(kind, value, error) from error
    except Exception as error:
        text = f"got {told(value)}, which cannot be checked ({type(error).__name__}: {error})"
        raise MisfitError("not_checkable", text, describe(kind)) from error


def _json_problem(value: Json) -> str | None:
    problem = next(json_problems(value, _DEPTH), None)
    return problem.message if problem else None


def _misfit(kind: PortType, value: Json, error: ValidationError) -> MisfitError:
    expected = describe(kind)
    details = _details(error)
    if details[0]["type"] == "value_error" and not details[0]["loc"]:  # the validator says itself what would fit
        said = details[0]["msg"].removeprefix("Value error, ")
        return MisfitError("refused_value", f"got {told(value)}: {said}", expected)
    bounds = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of")
    code = "out_of_bounds" if details[0]["type"] in bounds else "wrong_type"
    return MisfitError(
        code, f"got {told(value)}; expected {expected}{_inner(error)}", expected, _near_value(kind, value)
    )


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _inner(error: ValidationError) -> str:
    """Return where within a value the fault is, and what a validator said."""
    details = _details(error)
    inner = [detail for detail in details if detail["loc"]]
    if len(details) == len(inner):
        return f" (at {'.'.join(str(key) for key in inner[0]['loc'])}: {inner[0]['msg'].lower()})"
    return f" ({details[0]['msg']})" if details[0]["type"] == "assertion_error" else ""


def _near_value(kind: PortType, value: Json) -> object:
    """Return the nearest number that fits, for a number out of bounds or one written as text; None where none does."""
    schema = kind.schema or {}
    if schema.get("type") not in ("integer", "number") or isinstance(value, (bool, dict, list)) or value is None:
        return None
    try:
        number = float(value)
        near: float = int(value) if isinstance(value, (int, str)) and float(value).is_integer() else number
        if schema["type"] == "integer":
            near = near if isinstance(near, int) else round(near)
        step = schema.get("multipleOf")
        near = round(near / step) * step if step else near
        near = max(near, schema.get("minimum", near))
        near = min(near, schema.get("maximum", near))
        return kind.adapter.validate_python(near, strict=True)
    except (ValueError, OverflowError):
        return None


def describe(kind: PortType) -> str:
    """Return what a type takes, in words: `an integer from 1 to 64`."""
    if kind.schema is None:
        return f"a wire from an output of type {kind.name}"
    return _describe(kind.schema, kind.schema.get("$defs", {}))


def _describe(schema: Mapping[str, Json], definitions: Mapping[str, Json]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return _describe(definitions.get(name, {}), definitions) if name in definitions else name
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"one of {_listed(values)}" if len(values) > 1 else told(values[0])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_describe(part, definitions) for part in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"a list, each item {_describe(schema['items'], definitions)}" if schema.get("items") else "a list"
    if kind == "object":
        return f"an object ({schema['title']})" if "title" in schema else "an object"
    names = {
        "integer": "an integer",
        "number": "a number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }
    return names.get(str(kind), "any JSON value") + _bounds(schema)


def _bounds(schema: Mapping[str, Json]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    parts = []
    if low is not None and high is not None:
        parts.append(f"from {low} to {high}")
    elif low is not None:
        parts.append(f"of at least {low}")
    elif high is not None:
        parts.append(f"of at most {high}")
    if above is not None:
        parts.append(f"above {above}")
    if below is not None:
        parts.append(f"below {below}")
    if "multipleOf" in schema:
        parts.append(f"a multiple of {schema['multipleOf']}")
    if "minLength" in schema or "maxLength" in schema:
        parts.append(f"of {schema.get('minLength', 0)} to {schema.get('maxLength', 'any number of')} characters")
    if "pattern" in schema:
        parts.append(f"of the form {schema['pattern']}")
    return f" {', '.join(parts)}" if parts else ""


def _listed(values: Iterable[object], shown: int = 12) -> str:
    names = [json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value) for value in values]
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
