"""Bring a network's tensors from where they are stored to where they run, several at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import wait
from math import prod
from types import MappingProxyType

import torch
from torch import Tensor

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.hands import hands, pool
from nodegraph.diffusion.memory.packing import Packer
from nodegraph.diffusion.memory.ring import laid
from nodegraph.diffusion.weights.store import Check, Reader

Tell = Callable[[int, int], object]
"""Called with the bytes brought and the bytes in all; what it raises stops the bringing."""

ALONE = 2**25
"""Bytes up to which one thread brings them all."""
LOOK = 0.02
"""Seconds between two looks at how far the threads are: woken at each part, who looks would be in their way."""
NO_PACKERS: Mapping[str, Packer] = MappingProxyType({})


def filled(
    blueprint: Blueprint, names: Collection[str] | None = None, tell: Tell | None = None, *, mapped: bool = True
) -> dict[str, Tensor]:
    """Return a network's tensors, or those of `names`, where they are to run.

    On the CPU those that are stored at the precision wanted are pages of their file, unless `mapped` is false: nothing
    is copied. Raises a WeightsError where a file is gone, damaged or not the one it was.
    """
    return brought(blueprint, names, tell, mapped=mapped)[0]


def brought(
    blueprint: Blueprint,
    names: Collection[str] | None = None,
    tell: Tell | None = None,
    *,
    mapped: bool = True,
    packers: Mapping[str, Packer] = NO_PACKERS,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what `filled` does, and beside it, by name, the weights that have a packer, packed.

    For those the first has placeholders, which have shape and precision, and no memory. At no time is a packed weight
    there unpacked too, but for the one that each thread has in work.
    """
    wanted = [name for name in blueprint.weights.shapes if names is None or name in names]
    total, done = sum(map(blueprint.weights.size, wanted)), 0

    def check(size: int) -> None:
        nonlocal done
        done += size
        if tell is not None:
            tell(done, total)

    bringing = _Bringing(blueprint, wanted, packers, mapped)
    count = min(hands(), len(wanted)) if blueprint.device.type == "cpu" and total > ALONE else 1
    if count == 1:
        bringing.work(check)
    else:
        bringing.share(count, check)
    found, packed = bringing.tensors, bringing.packed
    return {name: found[name] for name in wanted}, {name: packed[name] for name in wanted if name in packed}


class _StoppedError(Exception):
    """What ends a thread whose work nobody wants any more."""


class _Bringing:
    """Tensors on their way: threads take their names in turn."""

    def __init__(self, blueprint: Blueprint, names: list[str], packers: Mapping[str, Packer], mapped: bool) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.packed: dict[str, Tensor] = {}
        self._blueprint, self._packers, self._mapped = blueprint, packers, mapped
        self._shapes = blueprint.shapes
        self._names = deque(names)

    def share(self, count: int, check: Check) -> None:
        """Have `count` threads work, and call `check` in this one; raise what it or any of them raises."""
        done: deque[int] = deque()
        stopped = threading.Event()

        def look(size: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            done.append(size)

        def work() -> None:
            try:
                self.work(look)
            except _StoppedError:
                pass
            except BaseException:
                stopped.set()
                raise

        threads = [pool(count).submit(work) for _ in range(count)]
        try:
            at_work = True
            while at_work or done:
                at_work = bool(wait(threads, timeout=LOOK).not_done)
                while done:
                    check(done.popleft())
        finally:
            stopped.set()
            wait(threads)
        for thread in threads:
            thread.result()

    def work(self, check: Check) -> None:
        """Bring tensors until none is left."""
        staging = _Staging()
        with self._blueprint.weights.opened() as reader:
            while self._names:
                try:
                    name = self._names.popleft()
                except IndexError:  # another thread has taken the last
                    return
                if name in self._packers:
                    self._pack(name, reader, staging, check)
                else:
                    self._place(name, reader, check)

    def _pack(self, name: str, reader: Reader, staging: _Staging, check: Check) -> None:
        packer = self._packers[name]
        weight = staging.take(self._shapes[name], self._blueprint.dtype, packer.format)
        reader.copy(name, weight, check)
        self.packed[name] = packer(weight)
        self.tensors[name] = weight.new_zeros(()).expand(weight.shape)

    def _place(self, name: str, reader: Reader, check: Check) -> None:
        weights, device, dtype = self._blueprint.weights, self._blueprint.device, self._blueprint.dtype
        if self._mapped and device.type == "cpu" and weights.dtype(name) == dtype:
            self.tensors[name] = reader.read(name).reshape(self._shapes[name])
            check(weights.size(name))
        else:
            self.tensors[name] = torch.empty(self._shapes[name], device=device, dtype=dtype)
            reader.copy(name, self.tensors[name], check)


class _Staging:
    """Memory into which one weight after another is read."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, format: torch.memory_format) -> Tensor:
        """Return a tensor that is there until the next is taken."""
        size = prod(shape) * dtype.itemsize
        if len(self._memory) < size:
            del self._memory
            self._memory = torch.empty(size, dtype=torch.uint8)
        return laid(self._memory, shape, dtype, format)
