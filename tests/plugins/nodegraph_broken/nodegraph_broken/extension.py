"""Its nodes are fine, its sampler has the name of a built-in one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nodegraph import hookimpl, node
from nodegraph.diffusion.registry import Sampler


def nothing(denoise: Callable[..., Any], x: object, sigmas: Sequence[float]) -> Iterator[Any]:
    """Take no step."""
    return iter(())


@node("broken.Works")
def works(number: int = 1) -> int:
    """Work."""
    return number


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the node."""
    return [works]


@hookimpl
def register_samplers() -> list[Sampler]:
    """Return a second `euler`."""
    return [Sampler("euler", nothing)]
