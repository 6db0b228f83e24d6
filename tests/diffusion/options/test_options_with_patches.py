"""Options on networks that memory lends: with adapters on them, in several threads, after a cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory, activate
from nodegraph.diffusion.memory.patches import Patch
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.options.downscale import Downscale
from nodegraph.diffusion.options.free_u import FreeU
from nodegraph.diffusion.options.hyper_tile import HyperTile
from nodegraph.diffusion.options.scene import with_option
from nodegraph.diffusion.options.token_merging import TokenMerging
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.attention_rules import (
    with_perturbed_attention_guidance,
    with_self_attention_guidance,
)
from nodegraph.diffusion.sampling.run import Check, run
from nodegraph.diffusion.values import (
    Conditioning,
    ConditioningEntry,
    Guider,
    Latent,
    LatentFormat,
    Model,
    Noise,
    Placed,
)
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.save import write_file
from nodegraph.diffusion.weights.store import FileWeights

CONFIG = UNetConfig(
    channels=8, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(1, 1), context_dim=12, heads=2, groups=4
)
CHANGED = ("middle_block.1.transformer_blocks.0.attn1.to_v.weight", "output_blocks.1.0.in_layers.2.weight")


class Added:
    """Adds a tensor of small rank or of any."""

    def __init__(self, shape: tuple[int, ...], low: bool) -> None:
        self.low = low
        self.up = torch.randn(shape[0], 2, generator=torch.Generator().manual_seed(1)) * 0.3
        self.down = torch.randn(2, *shape[1:], generator=torch.Generator().manual_seed(2)) * 0.3

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        return weight + strength * (self.up @ self.down.flatten(1)).reshape(weight.shape)

    def factors(self, strength: float) -> tuple[Tensor, Tensor] | None:
        return (strength * self.up, self.down) if self.low else None


@pytest.fixture
def blueprint(tmp_path: Path) -> Blueprint:
    torch.manual_seed(0)
    network = UNet(CONFIG)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".norm" not in name:
                parameter.normal_(std=0.3 if ".attn" in name else 0.15)
    path = tmp_path / "tiny.safetensors"
    write_file(path, {name: tensor.detach() for name, tensor in network.state_dict().items()}, {})
    return Blueprint(
        lambda: UNet(CONFIG), FileWeights(read_header(path).tensors), torch.device("cpu"), torch.float32, path.name
    )


@pytest.fixture(autouse=True)
def memory() -> Iterator[Memory]:
    """Return a memory for the test alone."""
    made = Memory()
    before = activate(made)
    yield made
    activate(before)


def with_all(model: Model) -> Model:
    for option in (FreeU(1.3, 1.4, 0.9, 0.2), HyperTile(32, 1), TokenMerging(0.5), Downscale(1, end=0.7)):
        model = with_option(model, option)
    return with_perturbed_attention_guidance(with_self_attention_guidance(model, 0.6, 2.0), 1.5)


def model_of(blueprint: Blueprint, *patches: Patch) -> Model:
    return Model(Stored(blueprint, patches), latent=LatentFormat(scale=1.0))


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sampled(model: Model, check: Check | None = None) -> Tensor:
    positive, negative = (Conditioning((ConditioningEntry(draw(1, 5, 12, seed=seed)),)) for seed in (1, 2))
    latent = Latent(draw(2, 4, 12, 16, seed=3) * 6)
    levels = [6.0, 3.0, 1.0, 0.4]
    sampler = get_sampler("euler")
    return (
        run(
            Guider(model, positive, negative, 4.0),
            latent,
            noise=Noise(silent=True),
            sampler=sampler,
            levels=levels,
            check=check,
        )
        .result()
        .samples
    )


class Short:
    """Runs out of memory where a call has more samples than fit; once more where `weights` are all there."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.batches: list[int] = []

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > self.most:
            raise torch.OutOfMemoryError("there is no room")
        self.batches.append(len(inputs[0]))


def test_options_act_on_parts_of_a_batch_where_memory_runs_out(blueprint: Blueprint, memory: Memory) -> None:
    model = model_of(blueprint)
    for option in (
        FreeU(1.3, 1.4, 0.9, 0.2, structure=True),
        HyperTile(32, 2),
        TokenMerging(0.5),
        Downscale(1, end=0.7),
    ):
        model = with_option(model, option)
    model = with_perturbed_attention_guidance(model, 1.5)
    expected, short = sampled(model), Short(2)
    with memory.lend(blueprint) as module:  # the run takes another shell of the same base, or this one after it
        pass
    handle = module.get_submodule("middle_block.2").register_forward_pre_hook(short)
    got = sampled(model)
    handle.remove()
    assert short.batches
    assert set(short.batches) == {2}
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_a_batch_that_has_to_be_whole_is_not_split(
    blueprint: Blueprint, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    """The weights are streamed instead, which lends another module, with the options on it."""
    model = with_all(model_of(blueprint))
    expected = sampled(model)
    with memory.lend(blueprint) as module:
        pass
    handle = module.get_submodule("middle_block.2").register_forward_pre_hook(Short(2))
    got = sampled(model)
    handle.remove()
    assert "streamed weights" in caplog.text
    assert "split" not in caplog.text
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def hooks(module: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules())


@pytest.mark.parametrize("low", [True, False])
def test_adapters_and_options_act_on_one_network(blueprint: Blueprint, low: bool) -> None:
    deltas = {name: Added(blueprint.weights.shapes[name], low) for name in CHANGED}
    baked = blueprint.empty()
    with blueprint.weights.opened() as reader:
        state = {name: reader.read(name).clone() for name in blueprint.weights.shapes}
    state |= {name: delta.apply(state[name], 0.8) for name, delta in deltas.items()}
    baked.load_state_dict(state, assign=True)
    placed = replace(model_of(blueprint), network=Placed(baked.requires_grad_(False)))
    worn = model_of(blueprint, Patch("adapter", deltas, 0.8))
    for model, reference in ((worn, placed), (with_all(worn), with_all(placed))):
        torch.testing.assert_close(sampled(model), sampled(reference), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(sampled(with_all(worn)), sampled(with_all(model_of(blueprint))), atol=1e-3)


def test_runs_at_once_do_not_touch_each_other(blueprint: Blueprint) -> None:
    models = [model_of(blueprint), with_all(model_of(blueprint)), with_option(model_of(blueprint), FreeU(2, 2, 1, 1))]
    alone = [sampled(model) for model in models]
    together: dict[int, list[Tensor]] = {index: [] for index in range(len(models))}

    def work(index: int) -> None:
        together[index] += [sampled(models[index]) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(index,)) for index in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, results in together.items():
        assert [torch.equal(result, alone[index]) for result in results] == [True] * 3


def test_a_network_too_large_for_memory_has_options_too(blueprint: Blueprint, memory: Memory) -> None:
    whole = sampled(with_all(model_of(blueprint)))
    activate(Memory({"cpu": blueprint.size * 2 // 3}))
    torch.testing.assert_close(sampled(with_all(model_of(blueprint))), whole)


@pytest.mark.parametrize("looks", [1, 20, 45])
def test_a_cancelled_run_leaves_no_trace(blueprint: Blueprint, memory: Memory, looks: int) -> None:
    plain, left = sampled(model_of(blueprint)), iter(range(looks))

    def check() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampled(with_all(model_of(blueprint)), check)
    assert next(left, None) is None
    with memory.lend(blueprint) as module:
        assert hooks(module) == 0
    assert torch.equal(sampled(model_of(blueprint)), plain)
