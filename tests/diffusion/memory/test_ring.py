"""Memory that is used again and again: blocks never overlap, and as much is taken as there is."""

from __future__ import annotations

import random

import pytest
import torch

from nodegraph.diffusion.memory.ring import ALIGNED, Ring, laid, padded

CPU = torch.device("cpu")


def test_blocks_follow_one_another_and_begin_anew_where_room_is_given_back() -> None:
    ring = Ring(10 * ALIGNED, CPU)
    sizes = (4 * ALIGNED, 4 * ALIGNED - 1, 2 * ALIGNED)
    assert [block[0] // ALIGNED for block in map(ring.take, sizes) if block is not None] == [0, 4, 8]
    assert ring.take(1) is None
    ring.give(4 * ALIGNED)
    assert ring.take(1) is None, "what is free lies between others"
    ring.give(0)
    block = ring.take(6 * ALIGNED)
    assert block is not None
    assert (block[0], len(block[1])) == (0, 6 * ALIGNED)


def test_more_than_there_is_is_refused() -> None:
    ring = Ring(2 * ALIGNED, CPU)
    assert ring.take(2 * ALIGNED + 1) is None
    assert ring.take(2 * ALIGNED) is not None


@pytest.mark.parametrize("seed", range(5))
def test_blocks_never_overlap_in_whatever_order_they_are_given_back(seed: int) -> None:
    draws, ring, taken = random.Random(seed), Ring(50 * ALIGNED, CPU), dict[int, tuple[int, torch.Tensor]]()
    count = 0
    for number in range(1, 2000):
        block = ring.take(draws.randrange(0, 12 * ALIGNED))
        if block is not None:
            block[1].fill_(number % 251)
            taken[block[0]] = number % 251, block[1]
            count += 1
        for place in draws.sample(sorted(taken), k=min(len(taken), draws.randrange(3))):
            ring.give(place)
            del taken[place]
        assert all((memory == value).all() for value, memory in taken.values())
    assert count > 500


def test_a_tensor_is_laid_over_bytes_in_either_order() -> None:
    memory = torch.zeros(padded(2 * 3 * 5 * 5 * 4), dtype=torch.uint8)
    shape, numbers = torch.Size((2, 3, 5, 5)), torch.arange(150.0).view(2, 3, 5, 5)
    for order in (torch.contiguous_format, torch.channels_last):
        tensor = laid(memory, shape, torch.float32, order)
        tensor.copy_(numbers)
        assert tensor.is_contiguous(memory_format=order)
        assert torch.equal(tensor, numbers)
        assert tensor.data_ptr() == memory.data_ptr()
