"""HyperTile: attention within tiles, reckoned tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options.hyper_tile import HyperTile, from_tiles, into_tiles, tile_counts

Play = Callable[..., Tensor]
Seen = list[tuple[Tensor, Tensor]]


def test_tokens_of_a_tile_are_those_of_a_rectangle() -> None:
    grid, counts = (6, 8), (3, 2)
    numbers = torch.arange(48).reshape(1, 6, 8)
    tokens = torch.stack((numbers, numbers + 100)).reshape(2, 48, 1)
    tiles = into_tiles(tokens, grid, counts)
    wanted = [
        numbers[0, 2 * row : 2 * row + 2, 4 * column : 4 * column + 4].flatten() + sample * 100
        for sample, row, column in product(range(2), range(3), range(2))
    ]
    assert torch.equal(tiles[..., 0], torch.stack(wanted))
    assert torch.equal(from_tiles(tiles, grid, counts), tokens)


@pytest.mark.parametrize(
    ("side", "least", "options", "wanted"),
    [
        (64, 32, 2, [2, 1]),
        (96, 32, 2, [3, 2]),
        (96, 32, 1, [3]),
        (97, 32, 3, [1]),
        (16, 32, 2, [1]),
        (128, 32, 9, [4, 2, 1]),
    ],
)
def test_sides_are_divided_evenly(side: int, least: int, options: int, wanted: list[int]) -> None:
    assert tile_counts(side, least, options) == wanted


def attended(
    network: UNet, play: Play, path: str, option: HyperTile, size: tuple[int, int], sigma: float = 2.0
) -> Seen:
    """Return what a self-attention was given and what it gave, outside of the option."""
    seen: Seen = []
    given: list[Tensor] = []
    norm, after = (network.get_submodule(f"{path}.{name}") for name in ("norm1", "norm2"))
    handles = [
        norm.register_forward_hook(lambda module, inputs, output: given.append(output.clone())),
        after.register_forward_pre_hook(lambda module, inputs: seen.append((given.pop(), inputs[0].clone()))),
    ]
    play(network, option, size=size, sigma=sigma)
    for handle in handles:
        handle.remove()
    return seen


FULL, HALF = "input_blocks.1.1.transformer_blocks.0", "input_blocks.3.1.transformer_blocks.0"


@pytest.mark.parametrize(("size", "tile"), [((8, 12), (4, 4)), ((12, 8), (4, 4)), ((8, 7), (4, 7))])
def test_each_tile_is_attended_to_by_itself(
    network: UNet, play: Play, size: tuple[int, int], tile: tuple[int, int]
) -> None:
    block = network.get_submodule(FULL)
    inputs: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda module, given: inputs.append(given[0].clone()))
    ((normed, after),) = attended(network, play, FULL, HyperTile(32, sizes=1), size)
    handle.remove()
    attention = block.get_submodule("attn1")
    expected = torch.empty_like(normed).unflatten(1, size)
    for top, left in product(range(0, size[0], tile[0]), range(0, size[1], tile[1])):
        place = (slice(None), slice(top, top + tile[0]), slice(left, left + tile[1]))
        tokens = normed.unflatten(1, size)[place]
        expected[place] = attention(tokens.flatten(1, 2), tokens.flatten(1, 2)).view(tokens.shape)
    torch.testing.assert_close(after, inputs[0] + expected.flatten(1, 2))


def batches(network: UNet, play: Play, path: str, option: HyperTile, sigma: float = 2.0) -> list[tuple[int, ...]]:
    """Return the shapes of the tokens that an attention works on."""
    shapes: list[tuple[int, ...]] = []
    layer = network.get_submodule(f"{path}.attn1.to_q")
    handle = layer.register_forward_pre_hook(lambda module, inputs: shapes.append(tuple(inputs[0].shape)))
    play(network, option, size=(16, 32), sigma=sigma)
    handle.remove()
    return shapes


def test_lower_resolutions_are_tiled_as_deep_as_told(network: UNet, play: Play) -> None:
    assert batches(network, play, FULL, HyperTile(32, 1)) == [(2 * 4 * 8, 16, 8)]
    assert batches(network, play, HALF, HyperTile(32, 1)) == [(2, 8 * 16, 16)]
    assert batches(network, play, HALF, HyperTile(32, 1, depth=1)) == [(2 * 2 * 4, 16, 16)]
    assert batches(network, play, HALF, HyperTile(32, 1, depth=1, scale_depth=True)) == [(2 * 1 * 2, 64, 16)]


def test_sizes_change_from_level_to_level_and_not_from_run_to_run(network: UNet, play: Play) -> None:
    option = HyperTile(32, sizes=3)
    shapes = [batches(network, play, FULL, option, sigma)[0] for sigma in (9.0, 5.0, 2.0, 1.0, 0.5, 0.2)]
    assert len(set(shapes)) > 1
    assert shapes == [batches(network, play, FULL, option, sigma)[0] for sigma in (9.0, 5.0, 2.0, 1.0, 0.5, 0.2)]
