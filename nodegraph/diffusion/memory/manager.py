"""Networks in memory: brought when they are used, kept while there is room, the longest unused let go first."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.filling import Tell, brought
from nodegraph.diffusion.memory.packing import packers
from nodegraph.diffusion.memory.patches import Patch
from nodegraph.diffusion.memory.process import resident, trim
from nodegraph.diffusion.memory.shell import Shell
from nodegraph.diffusion.memory.streaming import resident_names
from nodegraph.diffusion.weights.store import Reader

logger = logging.getLogger(__name__)

MOST_IDLE_SHELLS = 2
"""Modules without a user that a network keeps: making one takes time, though hardly any memory."""


WORK, MOST_BESIDES = 8, 2
"""One part of so many of a streamed network's room is for what it computes, and for that and the process at most."""


class MemoryShortError(RuntimeError):
    """A network that cannot run in the memory there is; tells what was tried."""

    def __init__(self, title: str, device: str, needed: int, room: int, tried: Sequence[str]) -> None:
        said = f"; tried: {', '.join(tried)}" if tried else ""
        super().__init__(
            f"{title} takes {told(needed)} on {device}, where {told(room)} are left for it{said}. "
            "A larger memory budget, a lower precision or a smaller model would fit"
        )
        self.needed, self.room, self.tried = needed, room, tuple(tried)


@dataclass(frozen=True)
class Holding:
    """What is told of a network in memory."""

    title: str
    device: str
    bytes: int
    """Those of its tensors that stay; fewer than `size` where it runs streamed."""
    size: int
    lent: bool


class _Base:
    """A network's tensors where they run, shared by the shells around them."""

    def __init__(self, blueprint: Blueprint, compiled: bool) -> None:
        self.blueprint, self.compiled = blueprint, compiled
        self.tensors: dict[str, Tensor] = {}
        self.packed: dict[str, Tensor] = {}
        """Weights as they are multiplied; `tensors` has placeholders for them."""
        self.staying: frozenset[str] | None = None
        """The names of the tensors that stay, None: all do."""
        self.window = 0
        self.limit: int | None = None
        """Bytes above which the process gives memory back that nobody uses, while it runs streamed."""
        self.learned: list[str] = []
        """The names of what comes and goes in the order of calls, once that is known."""
        self.planned = 0
        """Bytes that it takes, or is about to."""
        self.lent, self.used = 0, 0
        self.bringing = threading.Lock()
        self.ready = False
        self._idle: list[Shell] = []
        self._empty: nn.Module | None = None
        """The module that told what can be packed: the first shell's."""
        self._lock = threading.Lock()

    @contextmanager
    def shell(self, patches: Sequence[Patch]) -> Iterator[nn.Module]:
        """Lend a module that wears `patches`."""
        shell = self._take(tuple(patch.identity for patch in patches))
        with ExitStack() as stack:
            shell.wear(patches)
            reader: Reader | None = None
            if self.staying is not None:
                reader = stack.enter_context(self.blueprint.weights.opened())
            stack.callback(self._give, shell)
            yield stack.enter_context(shell.running(reader, self.window, self.limit, self.learned))

    def _give(self, shell: Shell) -> None:
        with self._lock:
            self._idle.append(shell)
            del self._idle[:-MOST_IDLE_SHELLS]

    def fill(self, tell: Tell | None) -> None:
        """Bring the tensors that stay."""
        found = self.blueprint
        self._empty = found.empty()
        packs = packers(self._empty, found.device, found.dtype)
        tensors, packed = brought(found, self.staying, tell, mapped=self.staying is None, packers=packs)
        self.tensors.update(tensors)
        self.packed.update(packed)

    def _take(self, wanted: tuple[tuple[str, float], ...]) -> Shell:
        with self._lock:
            for shell in reversed(self._idle):
                if shell.patches == wanted:
                    self._idle.remove(shell)
                    return shell
            if self._idle:
                return self._idle.pop(0)
            module, self._empty = self._empty, None
        return Shell(self.blueprint, self.tensors, self.packed, module, self.compiled)


class Memory:
    """Networks by what they are made of, on each device at most `budgets` bytes of them (None or not named: no bound).

    A network that is larger than what is left for it is run streamed. If it is `compiled`, the blocks that networks
    repeat are run by torch's compiler. Threads may share it.
    """

    def __init__(self, budgets: Mapping[str, int | None] | None = None, *, compiled: bool = False) -> None:
        self.budgets, self.compiled = dict(budgets or {}), compiled
        self._bases: dict[tuple[str, str, torch.dtype], _Base] = {}
        self._caps: dict[tuple[str, str, torch.dtype], int] = {}
        """What networks may take at most, as memory ran out while they were used."""
        self._clock = itertools.count(1)
        self._lock = threading.RLock()

    @contextmanager
    def lend(
        self, blueprint: Blueprint, patches: Sequence[Patch] = (), tell: Tell | None = None
    ) -> Iterator[nn.Module]:
        """Lend a network's module, which is for the borrower alone; its tensors are not to be written to."""
        base = self._taken(blueprint, tell)
        try:
            with base.shell(patches) as module:
                yield module
        finally:
            with self._lock:
                base.lent -= 1

    def holdings(self) -> list[Holding]:
        """Return what is in memory, the longest unused first."""
        with self._lock:
            bases = sorted(self._bases.values(), key=lambda base: base.used)
        return [
            Holding(b.blueprint.title, str(b.blueprint.device), b.planned, b.blueprint.size, b.lent > 0) for b in bases
        ]

    def free(self, device: torch.device | str | None = None, size: int | None = None) -> int:
        """Let go networks that nobody uses until `size` bytes are freed (None: all of them); return the bytes freed."""
        freed = self._let_go(device, size)
        if freed:
            trim()
        return freed

    def _let_go(self, device: torch.device | str | None, size: int | None) -> int:
        freed = 0
        with self._lock:
            for base in sorted(self._bases.values(), key=lambda base: base.used):
                if size is not None and freed >= size:
                    break
                if base.lent == 0 and device in (None, base.blueprint.device, str(base.blueprint.device)):
                    freed += self._drop(base)
        return freed

    def shrink(self, blueprint: Blueprint) -> int | None:
        """Have a network that nobody uses take half of the memory that it takes from now on; return the bytes.

        None where it is in use, or takes as little as it can already.
        """
        with self._lock:
            base = self._bases.get(blueprint.key)
            room = (self._caps.get(blueprint.key, blueprint.size) if base is None else base.planned) // 2
            if base is not None and base.lent > 0:
                return None
            try:
                resident_names(blueprint.empty(), blueprint.sizes, room)
            except ValueError:
                return None
            if base is not None:
                self._drop(base)
            self._caps[blueprint.key] = room
            return room

    def _drop(self, base: _Base) -> int:
        del self._bases[base.blueprint.key]
        logger.info("let go of %s: %s", base.blueprint.title, told(base.planned))
        return base.planned

    def _taken(self, blueprint: Blueprint, tell: Tell | None) -> _Base:
        """Return the network's base with everything in its place, counted as lent."""
        with self._lock:
            base = self._bases.setdefault(blueprint.key, _Base(blueprint, self.compiled))
            base.lent += 1
            base.used = next(self._clock)
        try:
            with base.bringing:  # one brings it, who wants it too waits
                if not base.ready:
                    self._bring(base, tell)
        except BaseException:
            with self._lock:
                base.lent -= 1
                if not base.ready and base.lent == 0:
                    self._bases.pop(blueprint.key, None)
            raise
        return base

    def _bring(self, base: _Base, tell: Tell | None) -> None:
        tried: list[str] = []
        self._plan(base, self._caps.get(base.blueprint.key, base.blueprint.size), tried)
        try:
            base.fill(tell)
        except (torch.OutOfMemoryError, MemoryError):
            base.tensors.clear()
            base.packed.clear()
            tried.append(f"let go of other networks ({told(self.free(base.blueprint.device))})")
            if base.blueprint.device.type == "cuda":
                torch.cuda.empty_cache()
            self._plan(base, base.planned // 2, [*tried, "half of it streamed"])
            base.fill(tell)
        base.ready = True
        trim()  # what bringing it needed, and those that went for it

    def _plan(self, base: _Base, wanted: int, tried: list[str]) -> None:
        """Decide what of a network stays, letting go of others for it; raise MemoryShortError where it cannot run."""
        blueprint = base.blueprint
        device, size = str(blueprint.device), blueprint.size
        budget = self.budgets.get(device)
        with self._lock:
            room = wanted
            if budget is not None:
                others = sum(other.planned for other in self._on(device) if other is not base)
                if others + wanted > budget:
                    others -= self._let_go(device, others + wanted - budget)
                room = min(wanted, max(budget - others, 0))
            base.staying, base.window, base.planned = None, 0, size
            if room >= size:
                return
            try:
                besides = self._besides(base, room)
                staying, base.window = resident_names(blueprint.empty(), blueprint.sizes, room, besides)
            except ValueError as error:
                raise MemoryShortError(blueprint.title, device, size, room, [*tried, str(error)]) from error
            base.staying, base.planned = frozenset(staying), room
            base.limit = budget if blueprint.device.type == "cpu" else None
        logger.info("%s runs streamed: %s of %s stay on %s", blueprint.title, told(room), told(size), device)

    def _besides(self, base: _Base, room: int) -> int:
        """Return what goes of the room for a streamed network to all else: the process, and the work itself.

        Whoever bounds the memory of networks on the CPU bounds the process, of which a GPU's memory is no part. Each
        layer needs its weight once more, in the order in which it is multiplied. It is at most a part of the room.
        """
        if base.blueprint.device.type != "cpu":
            return 0
        networks = sum(other.planned for other in self._on("cpu") if other.ready and other is not base)
        largest = max(base.blueprint.sizes.values())
        return min(max(resident() - networks, 0) + largest + room // WORK, room // MOST_BESIDES)

    def _on(self, device: str) -> list[_Base]:
        return [base for base in self._bases.values() if str(base.blueprint.device) == device]


def told(size: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


_active = Memory()


def active() -> Memory:
    """Return the memory of this process."""
    return _active


def activate(memory: Memory) -> Memory:
    """Make `memory` the process's, and return the one before."""
    global _active
    before, _active = _active, memory
    return before
