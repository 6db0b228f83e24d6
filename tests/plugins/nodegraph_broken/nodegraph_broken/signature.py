"""Its node does not tell the type of an input."""

from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl, node


@node("broken.Untyped")
def untyped(number) -> int:  # type: ignore[no-untyped-def]
    """Leave out a type."""
    return int(number)


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the node."""
    return [untyped]
