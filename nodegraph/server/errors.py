"""The errors that reach a client: a status, a stable code, a sentence, and every problem by its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodegraph.engine.errors import NodegraphError, Problem

LONGEST: Final = 10_000
"""Characters of a value that is told back; of a longer one only the beginning is."""


class ApiError(NodegraphError):
    """A request that cannot be answered as asked; the middleware turns it into the JSON of `document`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        problems: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.problems, self.headers = tuple(problems), dict(headers or {})
        super().__init__(message)

    @property
    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.problems:
            error["problems"] = list(self.problems)
        return {"error": error}


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as it stands on the wire; what is not there is left out."""
    names = ("code", "message", "node", "field", "got", "expected", "nearest")
    found = {name: getattr(problem, name) for name in names}
    return {name: _tellable(value) for name, value in found.items() if value is not None}


def _tellable(value: Any) -> Any:
    """Return a value as any reader of JSON takes it, and not at length: it may be what was wrong about it."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if len(text) <= LONGEST else f"{text[:200]}..."
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return str(value) if isinstance(value, float) else f"a {type(value).__name__}"
    return value if len(text) <= LONGEST else f"{text[:200]}..."


def not_found(what: str) -> ApiError:
    """Return the answer for something that is not there, or not there for this user: the two look the same."""
    return ApiError(404, "not_found", f"there is no {what}")
