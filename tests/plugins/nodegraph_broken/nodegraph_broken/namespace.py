"""Its node has no pack's name in front."""

from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl, node


@node("Improve")
def improve(number: int = 1) -> int:
    """Take a name that belongs to nodegraph."""
    return number


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the node."""
    return [improve]
