"""It brings a node that nodegraph has already."""

from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl, node


@node("KSampler")
def sample(steps: int = 20) -> int:
    """Take the name of a built-in node."""
    return steps


@node("broken.Fine")
def fine(number: int = 1) -> int:
    """Be fine, in a plugin that is not."""
    return number


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return both."""
    return [fine, sample]
