"""Networks larger than the memory they may take: each layer's tensors come when it begins and go when it has ended.

The next ones are fetched by a thread meanwhile, in the order in which the layers were called the last time, so that
copying and computing overlap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.packing import format_of
from nodegraph.diffusion.memory.process import resident, trim
from nodegraph.diffusion.memory.ring import Ring, laid, padded
from nodegraph.diffusion.weights.store import Reader

logger = logging.getLogger(__name__)
MOST_LEFT = 32 * 2**20
"""Bytes by which the process has to grow before memory is given back once more: it may be what others need."""
BESIDE = -1

Unit = tuple[nn.Module, tuple[str, ...]]
"""A module with the names of those tensors that are its own and not there."""


class _Fetched(NamedTuple):
    """A unit's tensors by the names that it has for them, and where in the ring they are, `BESIDE`: in no place."""

    place: int
    tensors: Future[dict[str, Tensor]]


class Stream:
    """While it is entered, a module runs although only the tensors named in `there` are in their places.

    Those that come are written to one piece of memory again and again: `window` bytes for what waits, and what the
    largest layer takes. Where the process holds more than `limit` bytes, memory that nobody uses is given back.
    `learned` tells in which order layers were called, and is told so for the next time.
    """

    def __init__(
        self,
        module: nn.Module,
        blueprint: Blueprint,
        there: Collection[str],
        reader: Reader,
        window: int,
        change: Callable[[str, Tensor], Tensor],
        limit: int | None = None,
        learned: list[str] | None = None,
    ) -> None:
        self._blueprint, self._reader, self._change = blueprint, reader, change
        self._units = dict(units(module, there, blueprint.sizes))
        self._sizes = {unit: sum(map(self._padded, names)) for unit, names in self._units.items()}
        self._room = min(window + max(self._sizes.values(), default=0), sum(self._sizes.values()))
        self._limit = limit if limit is None else limit - 2 * max(self._sizes.values(), default=0)
        self._trimmed = 0
        self._learned = [] if learned is None else learned
        places = {name: place for place, name in enumerate(self._learned)}
        self._order = sorted(self._units, key=lambda unit: places.get(self._units[unit][0], len(places)))
        self._called: dict[nn.Module, None] = {}
        self._next = 0
        self._coming: dict[nn.Module, _Fetched] = {}
        self._used: dict[nn.Module, list[int]] = {}
        self._hooks: list[Any] = []
        self._lock = threading.Lock()  # a reader has one place in its file

    def __enter__(self) -> Stream:
        self._ring = Ring(self._room, self._blueprint.device)
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
        self._learn()
        for unit in self._units:
            self._empty(unit)
        del self._ring

    def _begin(self, unit: nn.Module, inputs: Any) -> None:
        self._follow(unit)
        self._trim()
        place, tensors = self._coming.pop(unit) if unit in self._coming else self._fetched(unit)
        self._used.setdefault(unit, []).append(place)
        for name, tensor in tensors.result().items():
            # Where gradients are wanted, what they are made from outlives the call.
            put(unit, name, tensor.clone() if torch.is_grad_enabled() else tensor)
        self._fetch_ahead()

    def _end(self, unit: nn.Module, inputs: Any, output: Any) -> None:
        self._empty(unit)
        for place in self._used.pop(unit, ()):
            self._ring.give(place)

    def _trim(self) -> None:
        """Have what layers left behind given back where the process holds more than it may."""
        if self._limit is not None and (now := resident()) > max(self._limit, self._trimmed + MOST_LEFT):
            trim()
            self._trimmed = resident()
            logger.debug("gave %d of %d bytes back", now - self._trimmed, now)

    def _follow(self, unit: nn.Module) -> None:
        """Take note of the order of calls; a unit that is called again begins the next round."""
        if unit in self._called:
            self._learn()
            for other in self._coming.keys() - self._called.keys():  # nobody wanted it
                place, tensors = self._coming.pop(other)
                if not tensors.cancel():
                    tensors.exception()  # it is written to until then
                self._ring.give(place)
            self._called, self._next = {}, 0
        self._called[unit] = None

    def _learn(self) -> None:
        self._order = [*self._called, *(unit for unit in self._order if unit not in self._called)]
        self._learned[:] = [self._units[unit][0] for unit in self._order]

    def _fetch_ahead(self) -> None:
        """Have what is still to be called in this round fetched, then that of the next, while there is room."""
        while self._next < len(self._order) and self._order[self._next] in self._called:
            self._next += 1
        rest = (unit for unit in self._order[self._next :] if unit not in self._called)
        for unit in chain(rest, self._called):
            if unit in self._coming or unit in self._used:
                continue
            block = self._ring.take(self._sizes[unit])
            if block is None:
                return
            self._coming[unit] = _Fetched(block[0], self._fetcher.submit(self._fetch, unit, block[1]))

    def _fetched(self, unit: nn.Module) -> _Fetched:
        """Fetch a unit that nobody expected."""
        tensors: Future[dict[str, Tensor]] = Future()
        block = self._ring.take(self._sizes[unit])
        tensors.set_result(self._fetch(unit, block[1] if block else None))
        return _Fetched(block[0] if block else BESIDE, tensors)

    def _fetch(self, unit: nn.Module, memory: Tensor | None) -> dict[str, Tensor]:
        """Return a unit's tensors by the names that it has for them, in `memory` where that is given."""
        found, done = {}, 0
        device, dtype = self._blueprint.device, self._blueprint.dtype
        for name in self._units[unit]:
            leaf = name.rpartition(".")[2]
            shape = _held(unit, leaf).shape
            format = format_of(unit) if leaf == "weight" and device.type == "cpu" else torch.contiguous_format
            if memory is None:
                target = torch.empty(shape, device=device, dtype=dtype, memory_format=format)
            else:
                target = laid(memory[done:], shape, dtype, format)
            with self._lock:
                self._reader.copy(name, target)
            found[leaf] = self._change(name, target)
            done += self._padded(name)
        return found

    def _padded(self, name: str) -> int:
        return padded(self._blueprint.sizes[name])

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


def resident_names(module: nn.Module, sizes: Mapping[str, int], room: int, besides: int = 0) -> tuple[set[str], int]:
    """Return which tensors stay where the network may take `room` bytes, and the bytes that may be fetched ahead.

    Layers are called in a circle, of which a fixed part stays: whatever else was kept would always have gone when its
    turn came. So many fewer stay as what is `besides` them takes. Raises ValueError where even the largest layer and
    the next one do not fit.
    """
    found = units(module, (), sizes)
    by_unit = [(names, sum(sizes[name] for name in names)) for _, names in found]
    largest = max((size for _, size in by_unit), default=0)
    window = max(largest, room // 16)
    left = room - window - largest
    if left < 0:
        raise ValueError(f"{room} bytes are too few: its largest layers take {2 * largest}")
    left = max(left - besides, 0)
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
