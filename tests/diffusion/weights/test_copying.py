"""Copying numbers part by part: every part once, in order, and converted as torch converts them."""

from __future__ import annotations

import pytest
import torch

from nodegraph.diffusion.weights.copying import CACHED, parts, put
from nodegraph.diffusion.weights.store import DTYPES


@pytest.mark.parametrize("count", [1, 7, 60, 10**6])
def test_parts_are_all_of_a_tensor_in_order(count: int) -> None:
    numbers = torch.arange(8 * 3 * 2 * 2).view(8, 3, 2, 2)
    for order in (torch.contiguous_format, torch.channels_last):
        target = torch.zeros(8, 3, 2, 2, dtype=torch.long).contiguous(memory_format=order)
        done = 0
        for part in parts(target, count):
            assert part.numel() <= max(count, 12)
            part.copy_(numbers.view(-1)[done : done + part.numel()].view(part.shape))
            done += part.numel()
        assert torch.equal(target, numbers)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2, 2), (1,)])
def test_small_and_empty_tensors_have_parts(shape: tuple[int, ...]) -> None:
    assert sum(part.numel() for part in parts(torch.zeros(shape), 4)) == torch.zeros(shape).numel()


@pytest.mark.parametrize("wanted", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("given", list(DTYPES.values()), ids=str)
def test_numbers_are_converted_as_torch_does(given: torch.dtype, wanted: torch.dtype) -> None:
    draws = torch.Generator().manual_seed(2)
    stored = torch.randn(CACHED * 2 + 17, generator=draws).mul_(20).to(given)
    target = torch.empty(len(stored), dtype=wanted)
    put(stored, target)
    assert torch.equal(target, stored.to(wanted))


def test_rows_are_converted_in_any_order_of_memory() -> None:
    stored = torch.randn(64, 96, 3, 3, generator=torch.Generator().manual_seed(2)).half()
    target = torch.empty(stored.shape, dtype=torch.bfloat16, memory_format=torch.channels_last)
    put(stored, target)
    assert torch.equal(target, stored.bfloat16())
    assert target.is_contiguous(memory_format=torch.channels_last)
