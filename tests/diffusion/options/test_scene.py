"""Options on a network: put on for a while, for one run alone, and taken off whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options.attention import (
    CrossAttentionStrengths,
    NotedAttention,
    PerturbedAttention,
    SelfAttentionStrengths,
)
from nodegraph.diffusion.options.downscale import Downscale
from nodegraph.diffusion.options.free_u import FreeU
from nodegraph.diffusion.options.hyper_tile import HyperTile
from nodegraph.diffusion.options.scene import NetworkOption, Scene, staged, with_option
from nodegraph.diffusion.options.token_merging import TokenMerging
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule, Model, Placed

Play = Callable[..., Tensor]
TABLE = table_of(DiffusionSchedule())
ALL: list[NetworkOption] = [
    FreeU(1.3, 1.4, 0.9, 0.2),
    HyperTile(64),
    TokenMerging(0.7),
    Downscale(1, end=1.0),
    NotedAttention(),
    PerturbedAttention(),
    SelfAttentionStrengths(q=1.5),
    CrossAttentionStrengths(out=0.5),
]


def hooks(network: nn.Module) -> int:
    """Return how many hooks there are on a network."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


@pytest.mark.parametrize(
    "option",
    [
        FreeU(1.0, 1.0, 1.0, 1.0),
        FreeU(1.0, 1.0, 1.0, 1.0, structure=True),
        HyperTile(2048),
        TokenMerging(0.0),
        Downscale(1, factor=1.0, end=1.0),
        Downscale(1, start=0.0, end=0.1),
        NotedAttention(),
        PerturbedAttention(),
        SelfAttentionStrengths(),
        CrossAttentionStrengths(),
    ],
    ids=repr,
)
def test_an_option_of_no_strength_changes_no_bit(network: UNet, play: Play, option: NetworkOption) -> None:
    assert torch.equal(play(network, option), play(network))


@pytest.mark.parametrize("option", [option for option in ALL if option not in (NotedAttention(), PerturbedAttention())])
def test_an_option_acts_and_leaves_no_trace(network: UNet, play: Play, option: NetworkOption) -> None:
    before = play(network)
    assert not torch.allclose(play(network, option, size=(16, 16)), before, atol=1e-6)
    assert torch.equal(play(network), before)
    assert hooks(network) == 0


def test_options_act_together_in_any_order(network: UNet, play: Play) -> None:
    together = play(network, *ALL)
    assert bool(together.isfinite().all())
    torch.testing.assert_close(play(network, *reversed(ALL)), together)
    for option in (FreeU(1.3, 1.4, 0.9, 0.2), TokenMerging(0.7), HyperTile(64)):
        assert not torch.allclose(play(network, *(other for other in ALL if other != option)), together, atol=1e-6)


@pytest.mark.parametrize("side", ["positive", "negative"])
def test_both_sides_in_one_call_are_each_by_itself(network: UNet, play: Play, side: str) -> None:
    options: list[NetworkOption] = [FreeU(1.3, 1.4, 0.9, 0.2, structure=True), HyperTile(64), Downscale(1, end=1.0)]
    both = play(network, *options)
    place = ("positive", "negative").index(side)
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 16, 16, generator=draws), torch.randn(2, 5, 12, generator=draws)
    with staged(network, options, TABLE) as scene:
        scene.stage.call = type(scene.call)(2.0, ((side, None),))
        alone = scene(x[place : place + 1], torch.full((1,), 300.0), context=context[place : place + 1])
    torch.testing.assert_close(both[place : place + 1], alone, rtol=1e-4, atol=1e-5)


def test_another_thread_sees_the_network_as_it_is(network: UNet, play: Play) -> None:
    plain, changed = play(network), play(network, *ALL)
    results: list[list[Tensor]] = [[], []]
    start = threading.Barrier(2)

    def run(index: int, options: list[NetworkOption]) -> None:
        start.wait()
        results[index] += [play(network, *options) for _ in range(8)]

    threads = [threading.Thread(target=run, args=(0, [])), threading.Thread(target=run, args=(1, ALL))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(result, plain) for result in results[0])
    assert all(torch.equal(result, changed) for result in results[1])
    assert len(results[0]) == len(results[1]) == 8
    assert hooks(network) == 0


def test_a_network_is_clean_after_an_error_within_it(network: UNet, play: Play) -> None:
    before = play(network)

    def fail(module: nn.Module, inputs: object) -> None:
        raise KeyboardInterrupt

    handle = network.middle_block.register_forward_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        play(network, *ALL)
    handle.remove()
    assert hooks(network) == 0
    assert torch.equal(play(network), before)


def test_a_call_after_a_broken_one_is_as_any_other(network: UNet, play: Play) -> None:
    whole = play(network, *ALL)
    broken = iter([True, False, False])

    def fail_once(module: nn.Module, inputs: object) -> None:
        if next(broken):
            raise MemoryError

    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 16, 16, generator=draws), torch.randn(2, 5, 12, generator=draws)
    deep = network.output_blocks[-1][1].transformer_blocks[0].attn1.to_q  # type: ignore[index]
    handle = deep.register_forward_pre_hook(fail_once)  # within what is tiled and merged
    with staged(network, ALL, TABLE) as scene, torch.no_grad():
        scene.stage.call = type(scene.call)(2.0, (("positive", None), ("negative", None)))
        with pytest.raises(MemoryError):
            scene(x, torch.full((2,), 300.0), context=context)
        assert not scene.here
        again = scene(x, torch.full((2,), 300.0), context=context)
    handle.remove()
    assert torch.equal(again, whole)


@dataclass(frozen=True)
class Failing:
    """An option that finds nothing to act on, after others have."""

    rank: ClassVar[int] = 9
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        raise ValueError("nothing here")


def test_a_network_is_clean_where_an_option_does_not_fit(network: UNet, play: Play) -> None:
    with pytest.raises(ValueError, match="nothing here"):
        play(network, *ALL, Failing())
    assert hooks(network) == 0


@pytest.mark.parametrize("option", [option for option in ALL if not isinstance(option, Downscale | FreeU)])
def test_a_network_without_such_layers_is_told(option: NetworkOption) -> None:
    told = r"network has none; a model of Stable Diffusion 1 and 2, or SDXL would fit"
    with pytest.raises(ValueError, match=told), staged(nn.Linear(1, 1), [option], TABLE):
        pass


@pytest.mark.parametrize("option", [Downscale(), FreeU(2, 2, 2, 2)])
def test_a_network_that_is_no_unet_is_told(option: NetworkOption) -> None:
    told = "network is a Linear; a model of Stable Diffusion"
    with pytest.raises(ValueError, match=told), staged(nn.Linear(1, 1), [option], TABLE):
        pass


def test_an_option_takes_the_place_of_its_kind_or_stands_beside_it() -> None:
    model = with_option(Model(Placed(nn.Identity())), TokenMerging(0.1))
    assert with_option(model, TokenMerging(0.2)).options == (TokenMerging(0.2),)
    assert with_option(model, TokenMerging(0.2), beside=True).options == (TokenMerging(0.1), TokenMerging(0.2))
    assert model.options == (TokenMerging(0.1),)


@pytest.fixture(autouse=True)
def left_clean(network: UNet) -> Iterator[None]:
    """Whatever a test does, the network has no hook after it."""
    yield
    assert hooks(network) == 0
