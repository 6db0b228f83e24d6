"""Whether the device that was asked for is there, before anything runs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from nodegraph.engine.graph import Graph


def require(device: str | None, graph: Graph) -> None:
    """Raise `CommandError` where a graph that runs on `device` cannot: there is no such one, or not on this machine."""
    if device is None or not any("device" in node.spec.settings for node in graph.nodes.values()):
        return
    from nodegraph.diffusion.devices import parse_device

    try:
        parse_device(device)
    except ValueError as error:
        raise CommandError(f"--device: {error}", Exit.USAGE) from error
