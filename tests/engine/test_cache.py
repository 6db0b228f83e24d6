"""The memory tier: what values weigh, and what is evicted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph import node
from nodegraph.engine.cache import Entry
from nodegraph.engine.disk import DiskCache
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph
from nodegraph.engine.measure import measure
from nodegraph.engine.memory import OVERHEAD, MemoryCache

Build = Callable[..., Graph]
KIB = 1 << 10


@dataclass(frozen=True)
class Picture:
    pixels: torch.Tensor
    notes: dict[str, object] = field(default_factory=dict)


def kilobytes(count: int) -> torch.Tensor:
    return torch.zeros(count * KIB, dtype=torch.uint8)


def storages(value: object) -> int:
    return sum(storage.bytes for storage in measure(value).storages.values())


def recipe(number: int) -> str:
    return f"{number:064x}"


def entry(value: object, cost: float = 0.0) -> Entry:
    return Entry({"out": value}, cost, type="Test")


def test_a_tensor_weighs_its_storage_wherever_it_sits() -> None:
    tensor = kilobytes(8)
    for value in (tensor, [tensor], {"a": (tensor,)}, Picture(tensor), Picture(kilobytes(0), {"x": [tensor]})):
        assert storages(value) == 8 * KIB


def test_views_share_one_storage() -> None:
    tensor = kilobytes(8)
    assert storages([tensor, tensor.view(2, -1), tensor[:10], Picture(tensor[5:])]) == 8 * KIB
    assert storages(tensor[:1]) == 8 * KIB  # a small view keeps the whole alive


def test_networks_arrays_and_meta_tensors() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(16, 16, bias=False), torch.nn.BatchNorm1d(16))
    footprint = measure({"net": network})
    assert footprint.modules
    assert sum(one.bytes for one in footprint.storages.values()) == 4 * (16 * 16 + 4 * 16) + 8
    array = np.zeros(1000)
    assert storages([array, array[10:], array.reshape(10, -1)]) == 8000
    assert storages(torch.zeros(10, device="meta")) == 0


def test_plain_data_weighs_something_and_circles_end() -> None:
    circle: list[Any] = ["x" * 1000]
    circle.append(circle)
    assert 1000 < measure(circle).ram < 2000
    assert measure(None).ram < measure([None] * 100).ram


def test_the_budget_is_kept_and_every_byte_is_given_back() -> None:
    cache = MemoryCache(budget=100 * KIB)
    for number in range(50):
        cache[recipe(number)] = entry(kilobytes(10))
        assert cache.ram <= 100 * KIB
    assert 5 < len(cache) < 10
    for key in list(cache):
        del cache[key]
    assert cache.ram == 0
    assert cache.gpu == 0


def test_what_was_used_last_stays() -> None:
    cache = MemoryCache(budget=35 * KIB)
    for number in range(3):
        cache[recipe(number)] = entry(kilobytes(10), cost=1.0)
    cache[recipe(3)] = entry(kilobytes(10), cost=1.0)
    assert recipe(0) not in cache
    assert cache.get(recipe(1)) is not None
    cache[recipe(4)] = entry(kilobytes(10), cost=1.0)
    assert set(cache) == {recipe(1), recipe(3), recipe(4)}


def test_what_is_cheap_to_make_again_goes_first_and_nothing_stays_for_ever() -> None:
    cache = MemoryCache(budget=35 * KIB)
    cache[recipe(0)] = entry(kilobytes(10), cost=5.0)
    for number in range(1, 6):
        cache[recipe(number)] = entry(kilobytes(10), cost=0.1)
    assert recipe(0) in cache
    for number in range(6, 300):
        cache[recipe(number)] = entry(kilobytes(10), cost=0.1)
    assert recipe(0) not in cache


def test_a_storage_that_entries_share_is_counted_once_until_the_last_is_gone() -> None:
    cache = MemoryCache(budget=100 * KIB)
    tensor = kilobytes(40)
    for number in range(4):
        cache[recipe(number)] = entry(Picture(tensor))
    assert len(cache) == 4
    assert 40 * KIB < cache.ram < 50 * KIB
    for number in range(3):
        del cache[recipe(number)]
    assert cache.ram > 40 * KIB
    del cache[recipe(3)]
    assert cache.ram == 0


def test_an_entry_larger_than_the_budget_evicts_nothing() -> None:
    cache = MemoryCache(budget=20 * KIB)
    cache[recipe(0)] = entry(kilobytes(10))
    cache[recipe(1)] = entry(kilobytes(30))
    assert set(cache) == {recipe(0)}
    cache[recipe(0)] = entry(kilobytes(30))
    assert set(cache) == set()


def test_an_entry_is_replaced_and_counted_anew() -> None:
    cache = MemoryCache()
    cache[recipe(0)] = entry(kilobytes(10))
    cache[recipe(0)] = entry(1)
    assert cache.ram < KIB
    assert cache[recipe(0)].values == {"out": 1}
    with pytest.raises(KeyError):
        cache[recipe(1)]
    with pytest.raises(KeyError):
        del cache[recipe(1)]


class OnGpu:
    """Answers as a tensor on a GPU does."""

    def __init__(self, size: int) -> None:
        self.size, self.device = size, torch.device("cuda")

    def untyped_storage(self) -> OnGpu:
        return self

    def data_ptr(self) -> int:
        return id(self)

    def nbytes(self) -> int:
        return self.size


def test_gpu_memory_has_a_budget_of_its_own_and_can_be_freed() -> None:
    cache = MemoryCache(budget=100 * KIB, gpu_budget=50 * KIB)
    cache[recipe(0)] = entry(kilobytes(10))
    for number in range(1, 9):
        cache[recipe(number)] = entry(OnGpu(10 * KIB), cost=1.0)
        assert cache.gpu <= 50 * KIB
    assert recipe(0) in cache
    assert cache.gpu == 50 * KIB
    assert cache.free(gpu=15 * KIB)[1] == 20 * KIB
    assert cache.gpu == 30 * KIB
    assert recipe(0) in cache
    assert cache.free(ram=1000 * KIB)[0] > 10 * KIB
    assert len(cache) == 0


def test_weights_that_moved_are_counted_where_they_are() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1000))

    network, cache = Network(), MemoryCache()
    cache[recipe(0)] = entry(network)
    assert cache.holdings()[0].ram > 4000
    network.weight = torch.nn.Parameter(torch.zeros(10))
    assert cache.holdings()[0].ram < 2000 + OVERHEAD
    assert cache.holdings()[0].type == "Test"


def test_threads_share_a_cache() -> None:
    cache = MemoryCache(budget=40 * KIB)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        try:
            for _ in range(300):
                key = recipe(numbers.randrange(20))
                if cache.get(key) is None:
                    cache[key] = entry(kilobytes(numbers.randrange(1, 8)), numbers.random())
                assert cache.ram <= 41 * KIB
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    cache.free(ram=1 << 30)
    assert (len(cache), cache.ram) == (0, 0)


def test_what_left_memory_comes_back_from_disk(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path, min_cost=0.0)
    cache = MemoryCache(budget=10 * KIB, disk=disk)
    cache[recipe(0)] = entry("x" * 6000)
    cache[recipe(1)] = entry("y" * 6000)
    assert len(cache.holdings()) == 1
    assert cache[recipe(0)].values == {"out": "x" * 6000}
    assert set(cache) == {recipe(0), recipe(1)}
    del cache[recipe(0)]
    assert cache.get(recipe(0)) is None
    assert MemoryCache(disk=disk)[recipe(1)].values == {"out": "y" * 6000}


def test_a_run_whose_results_do_not_fit_gives_the_right_result(build: Build) -> None:
    @node("Big")
    def big(seed: int) -> torch.Tensor:
        return torch.full((4 * KIB,), float(seed))

    @node("Plus")
    def plus(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b

    nodes: dict[str, Any] = {str(i): {"type": "Big", "params": {"seed": i}} for i in range(8)}
    nodes["s0"] = {"type": "Plus", "links": {"a": "0.out", "b": "1.out"}}
    for i in range(2, 8):
        nodes[f"s{i - 1}"] = {"type": "Plus", "links": {"a": f"s{i - 2}.out", "b": f"{i}.out"}}
    cache = MemoryCache(budget=40 * KIB)
    executor = Executor(cache)
    for _ in range(2):
        assert executor.run(build(nodes, big, plus)).nodes["s6"]["out"][0] == 28
        assert cache.ram <= 40 * KIB
