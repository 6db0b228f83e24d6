"""The cache's memory tier: results within a budget of bytes, before them a tier on disk if one is given.

What is evicted first is what is cheapest to make again for the room that it takes: an entry's rank is the age of the
cache when it was last used, plus its cost in seconds a byte; the lowest rank goes, and the age becomes that rank
(GreedyDual-Size, Cao and Irani 1997). So a model that loads in a second leaves before a latent that took a minute, and
what nobody uses leaves in the end, whatever it cost.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final, NamedTuple, TypeVar

from nodegraph.engine.cache import Entry
from nodegraph.engine.disk import DiskCache
from nodegraph.engine.measure import Footprint, Storage, measure

OVERHEAD: Final = 512
"""Bytes that the cache itself spends on an entry."""
LARGE: Final = 1 << 20
T = TypeVar("T")


class Holding(NamedTuple):
    """What an entry of the cache holds, for reports; storages that entries share are told of each."""

    recipe: str
    type: str
    ram: int
    gpu: int
    cost: float


class _Kept:
    """An entry with what it holds."""

    __slots__ = ("entry", "gpu", "plain", "ram", "rank", "storages")

    def __init__(self, entry: Entry, footprint: Footprint) -> None:
        self.entry = entry
        self.plain = self.ram = footprint.plain + OVERHEAD
        self.gpu = 0
        self.storages: Mapping[object, Storage] | None = None
        if footprint.storages:
            self.storages = footprint.storages
            self.ram, self.gpu = footprint.ram + OVERHEAD, footprint.gpu
        self.rank = 0.0


class MemoryCache(MutableMapping[str, Entry]):
    """Results by recipe, at most `budget` bytes of RAM and `gpu_budget` of GPU memory (None: no bound of its own).

    Tensors are counted by their storage, and a storage that several entries share is counted once. An entry that is
    larger than the budget by itself is not kept. `disk` gets each entry too, and is asked for what memory has not.
    Threads may share it.
    """

    def __init__(self, budget: int = 4 << 30, *, gpu_budget: int | None = None, disk: DiskCache | None = None) -> None:
        self.budget, self.gpu_budget, self.disk = budget, gpu_budget, disk
        self._kept: dict[str, _Kept] = {}
        self._queue: list[tuple[float, int, str]] = []
        self._storages: dict[object, list[int]] = {}  # identity -> [entries that hold it, bytes, on a GPU]
        self._moving: set[str] = set()
        self._age, self._count = 0.0, 0
        self._ram = self._gpu = 0
        self._lock = threading.RLock()

    @property
    def ram(self) -> int:
        """Return the bytes of RAM that the entries hold."""
        return self._ram

    @property
    def gpu(self) -> int:
        """Return the bytes of GPU memory that the entries hold."""
        return self._gpu

    def get(self, recipe: str, default: Entry | T | None = None) -> Entry | T | None:  # type: ignore[override]
        """Return an entry, or `default`."""
        with self._lock:
            kept = self._kept.get(recipe)
            if kept is not None:
                kept.rank = self._age + kept.entry.cost / (kept.ram + kept.gpu)
                return kept.entry
        entry = None if self.disk is None else self.disk.get(recipe)
        if entry is None:
            return default
        self._keep(recipe, entry)
        return entry

    def __getitem__(self, recipe: str) -> Entry:
        entry = self.get(recipe)
        if entry is None:
            raise KeyError(recipe)
        return entry

    def __setitem__(self, recipe: str, entry: Entry) -> None:
        self._keep(recipe, entry)
        if self.disk is not None:
            self.disk[recipe] = entry

    def __delitem__(self, recipe: str) -> None:
        with self._lock:
            known = recipe in self._kept
            if known:
                self._forget(recipe)
        if self.disk is not None and recipe in self.disk:
            del self.disk[recipe]
        elif not known:
            raise KeyError(recipe)

    def __contains__(self, recipe: object) -> bool:
        return recipe in self._kept or (self.disk is not None and recipe in self.disk)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            known = dict.fromkeys(self._kept)
        return iter({**known, **dict.fromkeys(self.disk or ())})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def free(self, *, ram: int = 0, gpu: int = 0) -> tuple[int, int]:
        """Evict until so many bytes more are free, as far as there is something; return what has become free."""
        with self._lock:
            self._refresh()
            before = self._ram, self._gpu
            self._shrink(max(0, before[0] - ram) if ram else None, max(0, before[1] - gpu) if gpu else None)
            return before[0] - self._ram, before[1] - self._gpu

    def holdings(self) -> tuple[Holding, ...]:
        """Return what each entry in memory holds, the largest first."""
        with self._lock:
            self._refresh()
            found = [Holding(id, k.entry.type, k.ram, k.gpu, k.entry.cost) for id, k in self._kept.items()]
        return tuple(sorted(found, key=lambda holding: -(holding.ram + holding.gpu)))

    def _keep(self, recipe: str, entry: Entry) -> None:
        footprint = measure(entry.values)
        kept = _Kept(entry, footprint)
        with self._lock:
            if recipe in self._kept:
                self._forget(recipe)
            if kept.ram > self.budget or (self.gpu_budget is not None and kept.gpu > self.gpu_budget):
                return
            self._count += 1
            kept.rank = self._age + entry.cost / (kept.ram + kept.gpu)
            self._kept[recipe] = kept
            heapq.heappush(self._queue, (kept.rank, self._count, recipe))
            self._hold(kept, 1)
            if footprint.modules:
                self._moving.add(recipe)
            if self._moving and kept.ram + kept.gpu > LARGE:
                self._refresh()
            if self._ram > self.budget or (self.gpu_budget is not None and self._gpu > self.gpu_budget):
                self._shrink(self.budget, self.gpu_budget)

    def _hold(self, kept: _Kept, change: int) -> None:
        """Count an entry in (1) or out (-1); of its storages only those that no other entry holds."""
        self._ram += change * kept.plain
        if kept.storages is None:
            return
        for key, storage in kept.storages.items():
            known = self._storages.setdefault(key, [0, storage.bytes, storage.gpu])
            known[0] += change
            if known[0] == (1 if change > 0 else 0):
                if known[2]:
                    self._gpu += change * known[1]
                else:
                    self._ram += change * known[1]
            if known[0] == 0:
                del self._storages[key]

    def _forget(self, recipe: str) -> None:
        self._hold(self._kept.pop(recipe), -1)
        self._moving.discard(recipe)

    def _refresh(self) -> None:
        """Count networks anew: their weights may have moved since."""
        for recipe in self._moving:
            kept = self._kept[recipe]
            self._hold(kept, -1)
            fresh = self._kept[recipe] = _Kept(kept.entry, measure(kept.entry.values))
            fresh.rank = kept.rank
            self._hold(fresh, 1)

    def _shrink(self, ram: int | None, gpu: int | None) -> None:
        """Evict the lowest ranks until no more than so many bytes are held."""
        spared: list[tuple[float, int, str]] = []
        while self._queue:
            over_ram, over_gpu = ram is not None and self._ram > ram, gpu is not None and self._gpu > gpu
            if not (over_ram or over_gpu):
                break
            rank, number, recipe = heapq.heappop(self._queue)
            kept = self._kept.get(recipe)
            if kept is None:
                continue
            if kept.rank > rank:  # used since it was queued: ranks only grow, so it is queued again where it belongs
                self._count += 1
                heapq.heappush(self._queue, (kept.rank, self._count, recipe))
            elif over_ram or kept.gpu:
                self._age = max(self._age, rank)
                self._forget(recipe)
            else:
                spared.append((rank, number, recipe))
        for item in spared:
            heapq.heappush(self._queue, item)
