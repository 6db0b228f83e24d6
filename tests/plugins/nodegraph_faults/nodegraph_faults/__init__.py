"""Nodes on which a server is tried: they take time, fail, crash, do not listen, write files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl

from . import failing, working


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the nodes."""
    return [*working.NODES, *failing.NODES]
