"""Plugins of others, installed with real entry points: the good one works, the broken one is set aside, all goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
import torch

from nodegraph.diffusion import registry as diffusion
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.sampling.contract import SamplerFunction
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule
from nodegraph.diffusion.weights.load import load_checkpoint
from nodegraph.diffusion.weights.save import save_checkpoint
from nodegraph.engine.plugins import Plugins
from nodegraph.runtime import Options, Runtime
from nodegraph.testing import check_node

BROKEN = {
    "argument": "'registry'",
    "clash": "'good.Divide' of plugin 'nodegraph_broken.clash' is already a node id of plugin 'good'",
    "extension": "the sampler 'euler' is in both 'nodegraph' and 'nodegraph_broken.extension'",
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
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    installed = {entry.name for entry in entry_points(group="nodegraph")}
    assert {"good", "nodegraph_broken.clash"} <= installed, "install the test plugins with `make test`"
    folder = tmp_path_factory.mktemp("run")
    before = diffusion.active()
    yield Runtime(Options(output=folder / "output", data=folder / "data"))
    diffusion.activate(before)


@pytest.fixture(scope="module")
def plugins(runtime: Runtime) -> Plugins:
    return runtime.plugins


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_set_aside_with_its_reason(plugins: Plugins, name: str) -> None:
    state = plugins.states[f"nodegraph_broken.{name}"]
    assert state.state == "quarantined"
    assert state.nodes == ()
    assert state.reason is not None
    assert BROKEN[name] in state.reason


def test_nothing_of_a_plugin_that_was_set_aside_is_left(plugins: Plugins) -> None:
    assert [name for name in plugins.registry if name.startswith("broken.") or name == "Improve"] == []
    assert diffusion.get_sampler("euler") == diffusion.BUILT_IN.samplers["euler"]


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


def test_hook_register_samplers(plugins: Plugins) -> None:
    choices = plugins.registry["KSampler"].inputs["sampler_name"].choices
    assert choices is not None
    assert "good_midpoint" in choices()
    sampler = diffusion.get_sampler("good_midpoint").resolve()
    coarse, fine = (error_of(sampler, steps) for steps in (32, 64))
    assert coarse / fine > 3.9  # second order in general, third for such data


def error_of(sampler: SamplerFunction, steps: int) -> float:
    """Return how far a sampler ends from the exact solution for data that is normal with deviation 0.5."""
    levels = torch.logspace(1.0, -1.0, steps + 1, dtype=torch.float64).tolist()
    x = torch.full((1, 1, 1, 1), 10.0, dtype=torch.float64)
    *_, last = sampler(lambda x, sigma: x * 0.25 / (0.25 + sigma**2), x, levels)
    exact: float = 10.0 * ((0.25 + levels[-1] ** 2) / (0.25 + levels[0] ** 2)) ** 0.5
    return abs(float(last.x) - exact)


def test_hook_register_schedulers(plugins: Plugins) -> None:
    choices = plugins.registry["KSampler"].inputs["scheduler"].choices
    assert choices is not None
    assert "good_even" in choices()
    table = table_of(DiffusionSchedule())
    levels = diffusion.get_scheduler("good_even").resolve()(table, 5)
    assert levels[0] == pytest.approx(table.sigma_max)
    assert [levels[0] - levels[1], levels[-1]] == pytest.approx([levels[3] - levels[4], 0.0])


@pytest.mark.usefixtures("plugins")
def test_hook_register_families(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(channels=8, channel_multipliers=(1, 2), transformer_depths=(0, 1), heads=2, groups=4))
    vae = Autoencoder(AutoencoderConfig(channels=8, channel_multipliers=(1, 2), res_blocks=1, groups=4))
    clip = ClipText(ClipTextConfig(vocabulary=50, width=8, layers=1, heads=2, mlp_width=16, end_token=49))
    family = next(family for family in diffusion.families() if family.name == "good")
    parts = {"unet": network, "vae": vae, "clip": clip}
    path = save_checkpoint(tmp_path / "good.safetensors", parts, family=family, dtype=torch.float32)
    loaded = load_checkpoint(path, device="cpu", dtype=torch.float32)
    assert loaded.family.title == "Good Diffusion"
    assert torch.equal(loaded.networks["unet"].state_dict()["out.2.weight"], network.state_dict()["out.2.weight"])


def test_hook_node_event(runtime: Runtime) -> None:
    events = import_module("nodegraph_good").events
    events.clear()
    count = {"type": "good.CountUp", "params": {"to": 3}}
    divide = {"type": "good.Divide", "params": {"by": 2}, "links": {"number": "count.out"}}
    outputs = runtime.run({"format": 1, "nodes": {"count": count, "divide": divide}})
    assert outputs["divide.quotient"] == [0, 0, 1]
    assert outputs["divide.remainder"] == [0, 1, 0]
    told = [(type(event).__name__, event.node) for event in events]
    assert told.index(("Running", "count")) < told.index(("Finished", "count")) < told.index(("Running", "divide"))
    assert [event.value for event in events if type(event).__name__ == "Progress" and event.node == "count"] == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("id", ["good.Divide", "good.Count", "good.Ramp", "good.Rate", "good.Show"])
def test_nodes_that_are_installed_are_held_to_the_contract_by_their_ids(id: str) -> None:
    check_node(id)


def test_the_command_line_tells_what_became_of_each_plugin(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nodegraph", "plugins"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert result.returncode == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "nodegraph_broken.needs" in text
    assert "a_package_that_nobody_has" in text
    assert "good" in text
