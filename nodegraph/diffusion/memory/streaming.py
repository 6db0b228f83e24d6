"""Networks larger than the memory they may take: each layer's tensors come when it begins and go when it has ended.

The next ones are fetched by a thread meanwhile, in the order in which the layers were called the last time, so that
copying and computing overlap.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.weights.store import Reader

Unit = tuple[nn.Module, tuple[str, ...]]
"""A module with the names of those tensors that are its own and not there."""


class Stream:
    """While it is entered, a module runs although only the tensors named in `there` are in their places."""

    def __init__(
        self,
        module: nn.Module,
        blueprint: Blueprint,
        there: Collection[str],
        reader: Reader,
        window: int,
        change: Callable[[str, Tensor], Tensor],
    ) -> None:
        self._blueprint, self._reader, self._window, self._change = blueprint, reader, window, change
        self._units = dict(units(module, there, blueprint.sizes))
        self._order = list(self._units)
        self._called: list[nn.Module] = []
        self._next = 0
        self._ahead: deque[nn.Module] = deque()
        self._coming: dict[nn.Module, Future[dict[str, Tensor]]] = {}
        self._hooks: list[Any] = []
        self._lock = threading.Lock()  # a reader has one place in its file

    def __enter__(self) -> Stream:
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="weights")
        for unit in self._units:
            self._hooks.append(unit.register_forward_pre_hook(self._begin))
            self._hooks.append(unit.register_forward_hook(self._end, always_call=True))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._fetcher.shutdown(wait=True, cancel_futures=True)
        self._coming.clear()
        for unit in self._units:
            self._empty(unit)

    def _begin(self, unit: nn.Module, inputs: Any) -> None:
        self._follow(unit)
        coming = self._coming.pop(unit, None)
        tensors = self._fetch(unit) if coming is None else coming.result()
        for name, tensor in tensors.items():
            put(unit, name, tensor)
        self._fetch_ahead()

    def _end(self, unit: nn.Module, inputs: Any, output: Any) -> None:
        self._empty(unit)

    def _follow(self, unit: nn.Module) -> None:
        """Take note of the order of calls; what comes after a unit is expected to do so again."""
        if self._called and unit is self._called[0]:
            self._order, self._called = self._called, []
        self._called.append(unit)
        place = self._next
        if place >= len(self._order) or self._order[place] is not unit:
            place = self._order.index(unit) if unit in self._order else -1
        self._next = (place + 1) % len(self._order)

    def _fetch_ahead(self) -> None:
        """Have the next units fetched, as many as the window holds."""
        waiting = sum(self._size(unit) for unit in self._coming)
        for step in range(len(self._order)):
            unit = self._order[(self._next + step) % len(self._order)]
            if unit in self._coming:
                continue
            waiting += self._size(unit)
            if waiting > self._window:
                return
            self._coming[unit] = self._fetcher.submit(self._fetch, unit)

    def _size(self, unit: nn.Module) -> int:
        return sum(self._blueprint.sizes[name] for name in self._units[unit])

    def _fetch(self, unit: nn.Module) -> dict[str, Tensor]:
        """Return a unit's tensors by the names that it has for them."""
        found = {}
        blueprint = self._blueprint
        for name in self._units[unit]:
            leaf = name.rpartition(".")[2]
            target = torch.empty(_held(unit, leaf).shape, device=blueprint.device, dtype=blueprint.dtype)
            with self._lock:
                self._reader.copy(name, target)
            found[leaf] = self._change(name, target)
        return found

    def _empty(self, unit: nn.Module) -> None:
        for name in self._units[unit]:
            leaf = name.rpartition(".")[2]
            held = _held(unit, leaf)
            if held.device.type != "meta":
                put(unit, leaf, torch.empty_like(held, device="meta"))


def units(module: nn.Module, there: Collection[str], names: Collection[str]) -> list[Unit]:
    """Return the modules that own tensors which are not there, in the order in which they stand."""
    found = []
    for path, owner in module.named_modules():
        start = f"{path}." if path else ""
        own = [start + leaf for leaf in (*owner._parameters, *owner._buffers)]
        away = tuple(name for name in own if name in names and name not in there)
        if away:
            found.append((owner, away))
    return found


def resident_names(module: nn.Module, sizes: Mapping[str, int], room: int) -> tuple[set[str], int]:
    """Return which tensors stay where the network may take `room` bytes, and the bytes that may be fetched ahead.

    Layers are called in a circle, of which a fixed part stays: whatever else was kept would always have gone when its
    turn came. Raises ValueError where even the largest layer and the next one do not fit.
    """
    found = units(module, (), sizes)
    by_unit = [(names, sum(sizes[name] for name in names)) for _, names in found]
    largest = max((size for _, size in by_unit), default=0)
    window = max(largest, room // 8)
    left = room - window - largest
    if left < 0:
        raise ValueError(f"{room} bytes are too few: its largest layers take {2 * largest}")
    staying: set[str] = set()
    for names, size in by_unit:
        if size <= left:
            staying.update(names)
            left -= size
    return staying, window


def put(owner: nn.Module, leaf: str, tensor: Tensor) -> None:
    """Put a tensor into its place of the module that owns it."""
    if leaf in owner._buffers:
        owner._buffers[leaf] = tensor
    else:
        owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)


def _held(owner: nn.Module, leaf: str) -> Tensor:
    held = owner._buffers[leaf] if leaf in owner._buffers else owner._parameters[leaf]
    if held is None:
        raise KeyError(leaf)
    return held
