"""Packed weights: a network gives what it gives without, with patches on and off, in the memory of its weights."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory import packing
from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.memory.patches import Patch
from tests.diffusion.memory.conftest import Draw, blueprint, write

pytestmark = pytest.mark.skipif(not packing.available(), reason="this build of torch packs no weights")


class Half:
    """Adds a number to all of a tensor."""

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        return weight + 0.5 * strength

    def factors(self, strength: float) -> None:
        return None


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the weights of tiny networks packed: only their size keeps them from it."""
    monkeypatch.setattr(packing, "LEAST", 1)


@pytest.fixture
def half(tmp_path: Path) -> Blueprint:
    return blueprint(write(tmp_path / "half.safetensors"), torch.bfloat16)


def plain(found: Blueprint) -> nn.Module:
    """Return the network with its weights as they are stored."""
    from nodegraph.diffusion.memory.filling import filled

    network = found.empty()
    network.load_state_dict(filled(found), strict=True, assign=True)
    return network


def test_a_packed_network_is_exact_in_float32(stored: Blueprint, draw: Draw) -> None:
    with Memory().lend(stored) as network:
        assert any(packing.is_packed(layer) for layer in network.modules())
        torch.testing.assert_close(draw(network), draw(plain(stored)), rtol=1e-4, atol=1e-6)


def test_a_packed_network_gives_what_the_plain_one_gives(half: Blueprint, draw: Draw) -> None:
    with Memory().lend(half) as network:
        layers = [layer for _, layer in packing.packable(network)]
        assert len(layers) > 20
        assert all(packing.is_packed(layer) for layer in layers)
        torch.testing.assert_close(draw(network), draw(plain(half)), rtol=3e-2, atol=2e-3)
        first = next(network.parameters())
        assert (first.device.type, first.dtype) == ("cpu", torch.bfloat16), "what is put in is made like it"


@pytest.mark.parametrize("name", ["out.2.weight", "out.2.bias"])
def test_patches_that_replace_tensors_are_put_on_packed_ones_and_taken_off(
    half: Blueprint, draw: Draw, name: str
) -> None:
    memory, expected = Memory(), plain(half)
    with memory.lend(half) as network:
        before = draw(network)
    expected.get_parameter(name).data.add_(0.5)
    with memory.lend(half, [Patch("half", {name: Half()})]) as network:
        torch.testing.assert_close(draw(network), draw(expected), rtol=3e-2, atol=1e-2)
        assert not torch.allclose(draw(network), before, atol=0.1)
    with memory.lend(half) as network:
        torch.testing.assert_close(draw(network), before, rtol=0, atol=0)


def test_of_a_streamed_network_what_stays_is_packed(half: Blueprint, draw: Draw) -> None:
    with Memory({"cpu": half.size * 3 // 4}).lend(half) as network:
        packed = {path for path, layer in network.named_modules() if packing.is_packed(layer)}
        away = {path for path, layer in network.named_modules() for own in layer.parameters(False) if own.is_meta}
        assert len(packed) > 5
        assert len(away) > 1
        assert not packed & away
        for _ in range(2):
            torch.testing.assert_close(draw(network), draw(plain(half)), rtol=3e-2, atol=2e-3)


@pytest.mark.parametrize("dtype", packing.DTYPES)
def test_a_packed_weight_is_memory_of_its_own(dtype: torch.dtype) -> None:
    draws = torch.Generator().manual_seed(3)
    for layer in (nn.Linear(64, 48), nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(16, 32, 1)):
        layer.requires_grad_(False).to(dtype)
        packer = packing.Packer(layer)
        weight = torch.randn(layer.weight.shape, generator=draws).to(dtype)
        weight = weight.contiguous(memory_format=packer.format) if weight.dim() == 4 else weight
        x = torch.randn((3, 64) if weight.dim() == 2 else (3, 16, 9, 9), generator=draws).to(dtype)
        layer.weight.data = weight.clone()
        expected = layer(x)
        packing.use(layer, packer(weight))
        weight.zero_()
        torch.testing.assert_close(layer(x), expected, rtol=3e-2, atol=1e-2)


def test_a_network_that_is_let_go_of_leaves_no_weights_behind(half: Blueprint) -> None:
    memory = Memory()
    with memory.lend(half) as network:
        seen = weakref.ref(network)
    del network
    gc.disable()
    try:
        memory.free()
        assert seen() is None
    finally:
        gc.enable()


def test_a_packing_that_is_stopped_leaves_nothing(half: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []
    pack = packing.Packer.__call__

    def count(self: packing.Packer, weight: Tensor) -> Tensor:
        packed.append(str(weight.shape))
        return pack(self, weight)

    def tell(done: int, total: int) -> None:
        if len(packed) > 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(packing.Packer, "__call__", count)
    memory = Memory()
    with pytest.raises(KeyboardInterrupt), memory.lend(half, (), tell):
        pass
    assert len(packed) == 6
    assert memory.holdings() == []
