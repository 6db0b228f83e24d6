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
    import torch

    names = available()
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise CommandError(f"--device {device}: no such device; there is {', '.join(names)}", Exit.USAGE) from error
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        there = f"there is {', '.join(names)}"
        raise CommandError(f"--device {device}: not to be used on this machine; {there}", Exit.USAGE) from error


def available() -> list[str]:
    """Return the names of the devices of this machine."""
    import torch

    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return names + ["mps"] * torch.backends.mps.is_available()
