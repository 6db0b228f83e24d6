"""Networks in memory: brought once, within a budget, streamed where they do not fit, shared by threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.filling import filled
from nodegraph.diffusion.memory.manager import Memory, MemoryShortError
from nodegraph.diffusion.memory.streaming import Stream
from nodegraph.diffusion.weights.errors import ChangedFileError, MissingFileError
from tests.diffusion.memory.conftest import Draw, blueprint, write


def test_a_network_is_brought_once_and_stays(stored: Blueprint, draw: Draw) -> None:
    memory = Memory()
    with memory.lend(stored) as network:
        first = draw(network)
    stored.weights.files[0].unlink()
    with memory.lend(stored) as network:
        torch.testing.assert_close(draw(network), first, rtol=0, atol=0)
    (holding,) = memory.holdings()
    assert (holding.title, holding.bytes, holding.lent) == ("tiny.safetensors", stored.size, False)
    assert memory.free() == stored.size
    with pytest.raises(MissingFileError), memory.lend(stored):
        pass


def test_another_file_in_its_place_is_not_taken_for_it(stored: Blueprint) -> None:
    write(stored.weights.files[0], seed=5)
    with pytest.raises(ChangedFileError, match="run the workflow again"), Memory().lend(stored):
        pass


def test_the_longest_unused_goes_where_room_is_short(tmp_path: Path) -> None:
    one, two, three = (blueprint(write(tmp_path / f"{seed}.safetensors", seed)) for seed in range(3))
    memory = Memory({"cpu": one.size * 2})
    for each in (one, two, one, three):
        with memory.lend(each):
            pass
    assert [holding.title for holding in memory.holdings()] == ["0.safetensors", "2.safetensors"]


def test_what_is_lent_stays_and_what_comes_beside_it_is_streamed(tmp_path: Path, draw: Draw) -> None:
    one, two = (blueprint(write(tmp_path / f"{seed}.safetensors", seed)) for seed in range(2))
    with Memory().lend(two) as network:
        expected = draw(network)
    memory = Memory({"cpu": one.size * 3 // 2})
    with memory.lend(one), memory.lend(two) as network:
        torch.testing.assert_close(draw(network), expected, rtol=0, atol=0)
        assert sum(holding.bytes for holding in memory.holdings()) <= one.size * 3 // 2
        assert [holding.lent for holding in memory.holdings()] == [True, True]


@pytest.mark.parametrize("share", [0.95, 0.6, 0.4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_larger_than_its_budget_runs_streamed(
    tmp_path: Path, draw: Draw, share: float, dtype: torch.dtype
) -> None:
    stored = blueprint(write(tmp_path / "a.safetensors"), dtype)
    with Memory().lend(stored) as network:
        expected = draw(network)
    memory = Memory({"cpu": int(stored.size * share)})
    with memory.lend(stored) as network:
        for _ in range(3):  # once the order of its layers is known, they are fetched ahead
            torch.testing.assert_close(draw(network), expected, rtol=0, atol=0)
        there = sum(p.nbytes for p in network.parameters() if p.device.type != "meta")
        assert there < stored.size * share
    with memory.lend(stored) as network:
        torch.testing.assert_close(draw(network), expected, rtol=0, atol=0)


def test_a_budget_for_less_than_two_layers_is_told(stored: Blueprint) -> None:
    wanted = pytest.raises(MemoryShortError, match=r"tiny.safetensors takes .* on cpu, where 20 KiB are left for it")
    with wanted, Memory({"cpu": 20 * 1024}).lend(stored):
        pass


def test_what_stops_the_bringing_leaves_nothing_behind(tmp_path: Path, draw: Draw) -> None:
    stored = blueprint(write(tmp_path / "a.safetensors"), torch.bfloat16)
    memory, told = Memory(), []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), memory.lend(stored, tell=tell):
        pass
    assert memory.holdings() == []
    assert told == sorted(told)
    with memory.lend(stored, tell=lambda done, total: told.append((done, total))) as network:
        assert draw(network).isfinite().all()
    assert told[-1][0] == told[-1][1] == stored.size * 2


def test_threads_share_the_tensors_and_not_the_module(stored: Blueprint, draw: Draw) -> None:
    memory, meet = Memory({"cpu": stored.size}), threading.Barrier(4)

    def work(_: int) -> tuple[int, int, torch.Tensor]:
        with memory.lend(stored) as network:
            meet.wait(20)
            tensor = network.state_dict()["input_blocks.0.0.weight"]
            return id(network), tensor.data_ptr(), draw(network)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert len({module for module, _, _ in found}) == 4
    assert len({pointer for _, pointer, _ in found}) == 1
    for _, _, drawn in found:
        torch.testing.assert_close(drawn, found[0][2], rtol=0, atol=0)
    assert [holding.lent for holding in memory.holdings()] == [False]


def test_once_the_order_of_layers_is_known_they_are_fetched_before_they_are_called(
    stored: Blueprint, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed: list[int] = []
    fetched = Stream._fetched

    def count(self: Stream, unit: nn.Module) -> object:
        missed[-1] += 1
        return fetched(self, unit)

    monkeypatch.setattr(Stream, "_fetched", count)
    memory = Memory({"cpu": stored.size // 2})
    for _ in range(3):  # lent anew each time: what was learned stays with the network
        missed.append(0)
        with memory.lend(stored) as network:
            draw(network)
    assert missed[1:] == [1, 1], "only the first is waited for"
    with memory.lend(stored) as network:
        for _ in range(3):
            missed.append(0)
            draw(network)
    assert missed[-2:] == [0, 0]


def test_what_a_streamed_layer_gave_outlives_its_weights_where_gradients_are_wanted(
    stored: Blueprint, draw: Draw
) -> None:
    x, time, context = torch.randn(1, 4, 8, 8), torch.tensor([3.0]), torch.randn(1, 5, 24)

    def gradient(network: nn.Module) -> torch.Tensor:
        wanted = x.clone().requires_grad_()
        network(wanted, time, context=context).sum().backward()
        assert wanted.grad is not None
        return wanted.grad

    whole = stored.build()
    whole.load_state_dict(filled(stored))
    with Memory({"cpu": stored.size // 2}).lend(stored) as network:
        torch.testing.assert_close(gradient(network), gradient(whole), rtol=1e-4, atol=1e-5)
