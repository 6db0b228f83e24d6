"""Token merging, token by token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options import token_merging
from nodegraph.diffusion.options.hyper_tile import HyperTile
from nodegraph.diffusion.options.token_merging import TokenMerging, match

Play = Callable[..., Tensor]
FULL, HALF = "input_blocks.1.1.transformer_blocks.0", "input_blocks.3.1.transformer_blocks.0"


def tokens(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("grid", [(4, 6), (5, 7)])
def test_one_of_each_square_is_merged_into(grid: tuple[int, int]) -> None:
    count = (grid[0] // 2) * (grid[1] // 2)
    drawn = {seed: token_merging._drawn(*grid, seed)[0].tolist() for seed in range(4)}
    for targets in drawn.values():
        squares = {(place // grid[1] // 2, place % grid[1] // 2) for place in targets}
        assert squares == {(row, column) for row in range(grid[0] // 2) for column in range(grid[1] // 2)}
        assert len(targets) == count
    assert len({tuple(targets) for targets in drawn.values()}) > 1


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("most", [2**24, 30])
def test_those_most_alike_become_their_mean(monkeypatch: pytest.MonkeyPatch, count: int, most: int) -> None:
    monkeypatch.setattr(token_merging, "MOST_SCORES", most)
    grid, seed = (4, 6), 3
    x = tokens(2, 24, 5)
    merging = match(x, grid, count, seed)
    assert merging is not None
    targets = token_merging._drawn(*grid, seed)[0].tolist()
    for sample in range(2):
        unit = x[sample] / x[sample].norm(dim=-1, keepdim=True)
        nearest = {}
        for source in set(range(24)) - set(targets):
            likeness = [float(unit[source] @ unit[target]) for target in targets]
            nearest[source] = (max(likeness), targets[likeness.index(max(likeness))])
        away = sorted(nearest, key=lambda source: nearest[source][0], reverse=True)[:count]
        groups = {target: [target] + [source for source in away if nearest[source][1] == target] for target in targets}
        means = torch.stack([x[sample, groups[target]].mean(0) for target in targets])
        merged = merging[0](x)[sample]
        assert len(merged) == 24 - len(away)
        torch.testing.assert_close(merged[-len(targets) :], means)
        expected = x[sample].clone()
        for group, mean in zip(groups.values(), means, strict=True):
            expected[group] = mean
        torch.testing.assert_close(merging[1](merging[0](x))[sample], expected)


def test_nothing_is_merged_where_there_is_nothing_to() -> None:
    x = tokens(1, 6, 5)
    assert match(x, (2, 3), 0, 1) is None
    assert match(x, (1, 6), 2, 1) is None
    assert match(x, (6, 1), 2, 1) is None


def test_tokens_of_no_length_are_no_trouble() -> None:
    merging = match(torch.zeros(1, 16, 3), (4, 4), 5, 1)
    assert merging is not None
    assert torch.equal(merging[1](merging[0](torch.zeros(1, 16, 3))), torch.zeros(1, 16, 3))


def asking(network: UNet, play: Play, path: str, *options: HyperTile | TokenMerging) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of what asks and of what is asked in a self-attention."""
    shapes: list[tuple[int, ...]] = []
    mix = network.get_submodule(f"{path}.attn1.mix")
    handle = mix.register_forward_pre_hook(lambda module, inputs: shapes.extend(tuple(one.shape) for one in inputs[:2]))
    play(network, *options)
    handle.remove()
    return tuple(shapes)


def test_those_that_ask_are_merged_at_full_resolution_alone(network: UNet, play: Play) -> None:
    assert asking(network, play, FULL, TokenMerging(0.5)) == ((2, 2, 128, 4), (2, 2, 256, 4))
    assert asking(network, play, FULL, TokenMerging(1.0)) == ((2, 2, 64, 4), (2, 2, 256, 4))
    assert asking(network, play, HALF, TokenMerging(0.5)) == ((2, 2, 64, 8), (2, 2, 64, 8))


@pytest.mark.parametrize("reverse", [False, True])
def test_within_tiles_those_of_the_tile_are_merged(network: UNet, play: Play, reverse: bool) -> None:
    options = [HyperTile(64, 1), TokenMerging(0.5)]
    shapes = asking(network, play, FULL, *(reversed(options) if reverse else options))
    assert shapes == ((2 * 4, 2, 32, 4), (2 * 4, 2, 64, 4))
