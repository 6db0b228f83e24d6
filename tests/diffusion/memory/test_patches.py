"""Patches on a network: beside its weights or in their place, several at once, and off again without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.memory.patches import Patch
from tests.diffusion.memory.conftest import Draw, Full, low_rank

LINEAR = "input_blocks.3.1.transformer_blocks.0.attn1.to_q.weight"
CONV = "input_blocks.0.0.weight"
POINT = "input_blocks.3.1.proj_in.weight"
NORM = "out.0.weight"


@contextmanager
def changed(stored: Blueprint, *patches: Patch) -> Iterator[nn.Module]:
    """Give a module of its own with the patches applied to the weights themselves."""
    with Memory().lend(stored) as module:
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for patch in patches:
        for name, delta in patch.deltas.items():
            state[name] = delta.apply(state[name], patch.strength)
    module = stored.build()
    module.load_state_dict(state)
    yield module


def patch(stored: Blueprint, seed: int, strength: float, *names: str) -> Patch:
    shapes = stored.weights.shapes
    return Patch(f"patch {seed}", {name: low_rank(shapes[name], seed + i) for i, name in enumerate(names)}, strength)


def full(stored: Blueprint, name: str, strength: float = 1.0) -> Patch:
    return Patch(f"full {name}", {name: Full(torch.full(stored.weights.shapes[name], 0.25))}, strength)


@pytest.fixture(params=["whole", "streamed"])
def memory(request: pytest.FixtureRequest, stored: Blueprint) -> Memory:
    """Return a memory with room for all of the network, or for half of it."""
    return Memory({"cpu": stored.size if request.param == "whole" else stored.size // 2})


@pytest.mark.parametrize("name", [LINEAR, CONV, POINT])
def test_a_low_rank_patch_does_what_its_product_does(stored: Blueprint, memory: Memory, draw: Draw, name: str) -> None:
    one = patch(stored, 7, 0.8, name)
    with changed(stored, one) as expected, memory.lend(stored, [one]) as network:
        torch.testing.assert_close(draw(network), draw(expected), rtol=1e-4, atol=1e-5)
    with memory.lend(stored) as network, Memory().lend(stored) as plain:
        torch.testing.assert_close(draw(network), draw(plain), rtol=0, atol=0)


def test_several_patches_add_up(stored: Blueprint, memory: Memory, draw: Draw) -> None:
    patches = [patch(stored, 7, 0.8, LINEAR, CONV), patch(stored, 70, -0.5, LINEAR), full(stored, NORM)]
    patches.append(full(stored, POINT, 0.5))
    patches.append(patch(stored, 90, 1.0, POINT))
    with changed(stored, *patches) as expected, memory.lend(stored, patches) as network:
        torch.testing.assert_close(draw(network), draw(expected), rtol=1e-4, atol=1e-5)


def test_a_patched_network_and_the_plain_one_run_side_by_side(stored: Blueprint, memory: Memory, draw: Draw) -> None:
    one = full(stored, NORM)
    with Memory().lend(stored) as network:
        plain = draw(network)
    with changed(stored, one) as module:
        other = draw(module)
    with memory.lend(stored, [one]) as network, memory.lend(stored) as beside:
        torch.testing.assert_close(draw(network), other, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(draw(beside), plain, rtol=0, atol=0)


def test_a_module_that_wears_the_patches_is_lent_again(stored: Blueprint) -> None:
    memory, one, two = Memory(), patch(stored, 7, 1.0, LINEAR), patch(stored, 8, 1.0, LINEAR)
    modules: list[int] = []
    held: list[nn.Module] = []
    for worn in ([one], [two], [one], [two]):
        with memory.lend(stored, worn) as network, memory.lend(stored, worn) as second:
            assert network is not second
            modules.append(id(network))
            held.append(network)
    assert len(set(modules)) <= 3


def test_low_rank_patches_take_no_memory_of_the_weights(stored: Blueprint) -> None:
    memory, one = Memory(), patch(stored, 7, 1.0, LINEAR, CONV)

    def pointers(module: nn.Module) -> list[int]:
        return [tensor.data_ptr() for tensor in module.state_dict().values()]

    with memory.lend(stored) as network:
        before = pointers(network)
    with memory.lend(stored, [one]) as network:
        assert pointers(network) == before


def test_a_patch_for_another_network_is_an_error_that_leaves_the_memory_whole(stored: Blueprint, draw: Draw) -> None:
    memory = Memory()
    wrong = Patch("wrong", {LINEAR: Full(torch.zeros(3, 5))})
    with pytest.raises(RuntimeError), memory.lend(stored, [wrong]):
        pass
    with memory.lend(stored) as network:
        found: Tensor = draw(network)
    assert found.isfinite().all()
    assert [holding.lent for holding in memory.holdings()] == [False]
