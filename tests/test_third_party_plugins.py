"""Plugins of others, installed with real entry points: the good one works, the broken one is set aside, all goes on."""

from __future__ import annotations

from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from nodegraph.diffusion import registry as diffusion
from nodegraph.engine.plugins import Plugins, load_plugins

ROOT = Path(__file__).resolve().parent.parent
BROKEN = {
    "argument": "'registry'",
    "clash": "'good.Divide' of plugin 'nodegraph_broken.clash' is already a node id of plugin 'good'",
    "gone": "No module named 'nodegraph_broken.no_such_module'",
    "namespace": "'Improve' has no namespace",
    "needs": "No module named 'a_package_that_nobody_has'",
    "raises": "no nodes today",
    "result": "NODE_CLASS_MAPPINGS",
    "signature": "missing type hint for parameter 'number'",
    "typo": "did you mean 'register_nodes'?",
}
"""What the reason for setting each of the broken plugin's modules aside says, among other things."""


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    installed = {entry.name for entry in entry_points(group="nodegraph")}
    assert {"good", "nodegraph_broken.clash"} <= installed, "install the test plugins with `make test`"
    return load_plugins(builtin=["nodegraph.nodes"], specs=[diffusion.DiffusionHooks])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_set_aside_with_its_reason(plugins: Plugins, name: str) -> None:
    state = plugins.states[f"nodegraph_broken.{name}"]
    assert state.state == "quarantined"
    assert state.nodes == ()
    assert state.reason is not None
    assert BROKEN[name] in state.reason


def test_nothing_of_a_plugin_that_was_set_aside_is_left(plugins: Plugins) -> None:
    assert "broken.Fine" not in plugins.registry
    assert "broken.Untyped" not in plugins.registry
    assert "Improve" not in plugins.registry


def test_a_good_plugin_and_the_built_in_nodes_go_on(plugins: Plugins) -> None:
    state = plugins.states["good"]
    assert (state.state, state.package, state.version) == ("loaded", "nodegraph-good", version("nodegraph-good"))
    assert "KSampler" in plugins.registry


def test_hook_register_nodes(plugins: Plugins) -> None:
    spec = plugins.registry["good.Divide"]
    assert (spec.plugin, spec.plugin_version) == ("good", version("nodegraph-good"))
    assert list(spec.inputs) == ["number", "by"]
    assert list(spec.outputs) == ["quotient", "remainder"]
    assert plugins.registry["good.CountUp"] is plugins.registry["good.Count"]
