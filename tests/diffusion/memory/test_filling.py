"""Bringing a network by several threads: the same numbers, told in order, stopped at once, and whole or not at all."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from nodegraph.diffusion.memory import filling, hands, packing
from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.filling import brought, filled
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.weights.errors import WeightsError
from nodegraph.diffusion.weights.source import CHUNK
from tests.diffusion.memory.conftest import Draw, blueprint, write

COUNT = 3


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tiny networks brought by some threads too."""
    monkeypatch.setattr(filling, "ALONE", 0)
    monkeypatch.setattr(filling, "hands", lambda: COUNT)


@pytest.fixture
def half(tmp_path: Path) -> Blueprint:
    return blueprint(write(tmp_path / "half.safetensors"), torch.bfloat16)


def test_threads_bring_what_one_brings(half: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    many = filled(half)
    monkeypatch.setattr(filling, "hands", lambda: 1)
    one = filled(half)
    assert list(many) == list(one) == list(half.weights.shapes)
    for name, tensor in one.items():
        assert torch.equal(many[name], tensor), name


def test_packed_weights_have_placeholders_without_memory(
    half: Blueprint, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LEAST", 1)
    packers = packing.packers(half.empty(), half.device, half.dtype)
    if not packers:
        pytest.skip("this build of torch packs no weights")
    tensors, packed = brought(half, packers=packers)
    assert packed.keys() == packers.keys()
    for name in packed:
        assert (tensors[name].shape, tensors[name].dtype) == (half.weights.shapes[name], half.dtype)
        assert tensors[name].untyped_storage().nbytes() == half.dtype.itemsize
    with Memory().lend(half) as network:
        first = draw(network)
    with Memory().lend(half) as network:
        torch.testing.assert_close(draw(network), first, rtol=0, atol=0)


def test_what_is_brought_is_told_by_the_thread_that_waits(half: Blueprint) -> None:
    told: list[tuple[int, int, int]] = []
    filled(half, tell=lambda done, total: told.append((done, total, threading.get_ident())))
    done = [each[0] for each in told]
    assert done == sorted(done)
    assert done[-1] == told[-1][1] == half.size * 2
    assert max(after - before for before, after in pairwise(done)) <= CHUNK
    assert {each[2] for each in told} == {threading.get_ident()}


def test_what_stops_it_stops_all_threads(half: Blueprint) -> None:
    def tell(done: int, total: int) -> None:
        if done > total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(half, tell=tell)
    assert filled(half).keys() == half.weights.shapes.keys(), "the threads are free for others"


def test_a_file_that_ends_too_soon_is_told_once(half: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = half.weights.files
    size, stamp = file.stat().st_size, file.stat().st_mtime_ns
    monkeypatch.setattr("nodegraph.diffusion.weights.store._identity", lambda _: (size, stamp))
    with file.open("r+b") as stream:
        stream.truncate(size // 2)
    with pytest.raises(WeightsError, match="the file ends before it does"):
        filled(half)


def test_several_networks_are_brought_at_once(tmp_path: Path, draw: Draw) -> None:
    found = [blueprint(write(tmp_path / f"{seed}.safetensors", seed), torch.bfloat16) for seed in range(4)]
    memory, drawn = Memory(), {}

    def use(each: Blueprint) -> None:
        with memory.lend(each) as network:
            drawn[each.title] = draw(network)

    threads = [threading.Thread(target=use, args=(each,)) for each in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for each in found:
        with Memory().lend(each) as network:
            torch.testing.assert_close(drawn[each.title], draw(network), rtol=0, atol=0)


def test_a_thread_of_the_pool_uses_one_core_and_others_use_all() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [one.result(10) for one in [hands.pool(2).submit(torch.get_num_threads) for _ in range(2)]] == [1, 1]
        assert torch.get_num_threads() == 2
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join(10)
        assert seen == [2]
    finally:
        torch.set_num_threads(before)


def test_a_pool_is_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_pools", {})
    assert hands.pool(2) is hands.pool(2)
    assert hands.pool(3) is not hands.pool(2)
    assert len(hands._pools) == 2
