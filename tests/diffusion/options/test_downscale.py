"""Deep Shrink: a network's forward written out, with maps resized in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.models.unet import UNet, sinusoid
from nodegraph.diffusion.options.downscale import Downscale
from nodegraph.diffusion.options.scene import staged
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

Play = Callable[..., Tensor]
TABLE = table_of(DiffusionSchedule())


def resized(x: Tensor, height: int, width: int, mode: str) -> Tensor:
    return functional.interpolate(x, size=(height, width), mode=mode)


@torch.no_grad()
def shrunk(network: UNet, size: tuple[int, int], option: Downscale) -> Tensor:
    """Run the network for the inputs of `play`, on a smaller map from the block on."""
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, *size, generator=draws), torch.randn(2, 5, 12, generator=draws)
    time = network.time_embed(sinusoid(torch.full((2,), 300.0), network.config.channels))
    skips = []
    for index, block in enumerate(network.input_blocks):
        x = block(x, time, context)
        smaller = resized(x, round(x.shape[2] / option.factor), round(x.shape[3] / option.factor), option.down)
        if index == option.block and not option.after_skip:
            x = smaller
        skips.append(x)
        if index == option.block and option.after_skip:
            x = smaller
    x = network.middle_block(x, time, context)
    for block in network.output_blocks:
        skip = skips.pop()
        if x.shape[2:] != skip.shape[2:]:
            x = resized(x, skip.shape[2], skip.shape[3], option.up)
        x = block(torch.cat((x, skip), 1), time, context, skips[-1].shape[2:] if skips else x.shape[2:])
    return network.out(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("block", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("after_skip", [True, False])
@pytest.mark.parametrize(("size", "factor"), [((16, 16), 2.0), ((13, 22), 1.7), ((16, 12), 0.5)])
def test_the_map_is_smaller_from_the_block_on(
    network: UNet, play: Play, block: int, after_skip: bool, size: tuple[int, int], factor: float
) -> None:
    option = Downscale(block, factor, end=1.0, after_skip=after_skip, down="area", up="bilinear")
    torch.testing.assert_close(play(network, option, size=size), shrunk(network, size, option), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("percent", [0.1, 0.3, 0.5, 0.8])
def test_it_acts_in_its_part_of_the_sampling(network: UNet, play: Play, percent: float) -> None:
    sigma = TABLE.percent_to_sigma(percent)
    changed = not torch.equal(play(network, Downscale(1, start=0.2, end=0.6), sigma=sigma), play(network, sigma=sigma))
    assert changed == (0.2 <= percent <= 0.6)


def test_a_map_stays_of_one_cell_at_least(network: UNet, play: Play) -> None:
    assert bool(play(network, Downscale(4, 9.0, end=1.0), size=(4, 4)).isfinite().all())


def test_several_act_at_once(network: UNet, play: Play) -> None:
    sizes: list[tuple[int, ...]] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(tuple(inputs[0].shape[2:]))

    handle = network.middle_block.register_forward_pre_hook(look)
    play(network, Downscale(1, end=1.0), Downscale(3, end=1.0), size=(32, 32))
    play(network, size=(32, 32))
    handle.remove()
    assert sizes == [(2, 2), (8, 8)]


def test_a_block_that_is_not_there_is_told(network: UNet) -> None:
    told = "block_number 6: the model's network has no such input block, expected 1 to 5"
    with pytest.raises(ValueError, match=told), staged(network, [Downscale(6)], TABLE):
        pass
