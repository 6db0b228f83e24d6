"""The hooks of the server's processes: how values are shown while a node runs, and routes of plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from nodegraph.workers.routes import Routes
    from nodegraph.workers.web import Web

hookspec = pluggy.HookspecMarker("nodegraph")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as it goes to a browser."""

    media: str
    """`image/jpeg`, `image/png` or `image/webp`."""
    width: int
    height: int
    data: bytes


@hookspec(firstresult=True)
def encode_preview(value: Any) -> Encoded | None:
    """Return how a value that a node shows while it runs looks; None for a value of another's.

    Called in a worker, in a thread of its own, at most ten times a second for a node, and only while somebody watches.
    Plugins are asked before the built-in pictures, latents and masks.
    """


@hookspec
def register_routes(routes: Routes) -> None:
    """Add routes of the plugin's own below `/api/v1/plugins/<plugin>/`; called once, in the host process."""


@hookspec
def register_web() -> Web | None:
    """Return what the plugin adds to the editor: modules and what they load; called once, in the host process."""
