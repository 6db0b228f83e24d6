"""Node-graph workflows for diffusion models: what plugins and programs import.

Names are looked up when they are first used, so that `import nodegraph` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodegraph.engine.builder import GraphBuilder
    from nodegraph.engine.context import Context
    from nodegraph.engine.errors import (
        Cancelled,
        NodeError,
        NodegraphError,
        PluginError,
        Problem,
        Waiting,
        WorkflowError,
    )
    from nodegraph.engine.expansion import Expansion, Given, Item, Ref, Use
    from nodegraph.engine.graph import Body
    from nodegraph.engine.hooks import hookimpl
    from nodegraph.engine.marks import Choices, File, KnownAs, Lazy, Mentions, Multiline, Step, Widget
    from nodegraph.engine.node import node
    from nodegraph.engine.workflow import Workflow
    from nodegraph.outputs import Outputs, Picture
    from nodegraph.runtime import Options, Runtime, run

_HOMES = {
    "engine.builder": ("GraphBuilder",),
    "engine.context": ("Context",),
    "engine.errors": ("Cancelled", "NodeError", "NodegraphError", "PluginError", "Problem", "Waiting", "WorkflowError"),
    "engine.expansion": ("Expansion", "Given", "Item", "Ref", "Use"),
    "engine.graph": ("Body",),
    "engine.hooks": ("hookimpl",),
    "engine.marks": ("Choices", "File", "KnownAs", "Lazy", "Mentions", "Multiline", "Step", "Widget"),
    "engine.node": ("node",),
    "engine.workflow": ("Workflow",),
    "outputs": ("Outputs", "Picture"),
    "runtime": ("Options", "Runtime", "run"),
}
_HOME = {name: f"nodegraph.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "Body",
    "Cancelled",
    "Choices",
    "Context",
    "Expansion",
    "File",
    "Given",
    "GraphBuilder",
    "Item",
    "KnownAs",
    "Lazy",
    "Mentions",
    "Multiline",
    "NodeError",
    "NodegraphError",
    "Options",
    "Outputs",
    "Picture",
    "PluginError",
    "Problem",
    "Ref",
    "Runtime",
    "Step",
    "Use",
    "Waiting",
    "Widget",
    "Workflow",
    "WorkflowError",
    "hookimpl",
    "node",
    "run",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'nodegraph' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
