"""The hooks of the engine: what a plugin may implement. Other layers have their own specs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("nodegraph")
hookimpl = pluggy.HookimplMarker("nodegraph")


@hookspec
def register_nodes() -> Sequence[Callable[..., Any]]:  # type: ignore[empty-body]
    """Return the functions, marked with `@node`, that the plugin adds."""


@hookspec
def node_event(event: Any) -> None:
    """Receive each event of a run; what this raises is logged and does not stop the run."""
