"""It brings a node that another plugin has brought already."""

from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl, node


@node("good.Divide")
def divide(number: int = 1) -> int:
    """Take the name of another plugin's node."""
    return number


@node("broken.Fine")
def fine(number: int = 1) -> int:
    """Be fine, in a plugin that is not."""
    return number


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return both."""
    return [fine, divide]
