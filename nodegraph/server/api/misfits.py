"""What pydantic finds wrong in a body or a query, in the words and the form of all other problems."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from nodegraph.engine.errors import told
from nodegraph.engine.nearest import nearest
from nodegraph.server.errors import ApiError

LONGEST: Final = 100
"""Characters of a value or a field's name that are told back."""
MOST: Final = 100
"""Problems that are told."""
EXPECTED: Final = {"model_type": "a JSON object", "dict_type": "a JSON object", "list_type": "a list"}
SAYS: Final = "Input should be "


def misfit(what: str, model: type[BaseModel], error: ValidationError) -> ApiError:
    """Return the error 422 for a `body` or a `query` that does not fit its model: it names the first problem."""
    wrong = error.errors(include_url=False, include_context=False)[:MOST]
    problems = [_problem(what, model, found) for found in wrong]
    first = problems[0]
    place = f" at {first['field']}" if first["field"] else ""
    return ApiError(422, f"invalid_{what}", f"the {what} does not fit{place}: {first['message']}", problems=problems)


def _problem(what: str, model: type[BaseModel], found: Mapping[str, Any]) -> dict[str, Any]:
    code, place = found["type"], tuple(found["loc"])
    problem: dict[str, Any] = {"code": code, "field": _cut(".".join(map(str, place)))}
    if code == "missing":
        return {**problem, "message": f"the field {place[-1]!r} is missing"}
    value = found["input"]
    problem["got"] = _tellable(value)
    if code == "extra_forbidden":
        return {**problem, **_unknown(str(place[-1]), what, _fields(model) if len(place) == 1 else ())}
    if code == "value_error":
        return {**problem, "message": found["msg"].removeprefix("Value error, ")}
    if code not in EXPECTED and not found["msg"].startswith(SAYS):
        return {**problem, "message": f"got {_whole(told(value))}: {found['msg']}"}
    expected = EXPECTED.get(code) or found["msg"].removeprefix(SAYS)
    return {**problem, "message": f"got {_whole(told(value))}; expected {expected}", "expected": expected}


def _unknown(name: str, what: str, names: Collection[str]) -> dict[str, Any]:
    message = f"unknown {'field' if what == 'body' else 'parameter'} {_cut(name)!r}"
    if not names:
        return {"message": message}
    fitting, close = ", ".join(names), nearest(name, names)
    facts = {"message": f"{message}; what may stand here is {fitting}", "expected": fitting}
    return facts if close is None else {**facts, "nearest": close}


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _tellable(value: Any) -> Any:
    """Return a value as JSON can hold it, if it is short, else the beginning of its text."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return told(value)
    if len(text) > LONGEST:
        return _cut(text)
    return _whole(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    text = _whole(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which JSON may hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
