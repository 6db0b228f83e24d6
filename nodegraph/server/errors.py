"""The errors that reach a client: a status, a stable code, a sentence, and every problem by its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.engine.errors import NodegraphError, Problem


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
    return {name: value for name, value in found.items() if value is not None}


def not_found(what: str) -> ApiError:
    """Return the answer for something that is not there, or not there for this user: the two look the same."""
    return ApiError(404, "not_found", f"there is no {what}")
