"""A lent network that goes on where memory runs out: others let go, the batch split, its own weights streamed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from nodegraph.diffusion.memory.manager import MemoryShortError, active
from nodegraph.diffusion.memory.shortage import OutOfMemoryError, is_out_of_memory, relieve
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.values import Network

logger = logging.getLogger(__name__)
Called = Callable[..., Tensor]
Lend = Callable[[ExitStack], Called]
"""Lends a network, ready to be called, for as long as a stack lasts."""


class Relieved:
    """A network that `lend` lends, called `(x (B, C, h, w), timestep (B,), **inputs)`, all with B first.

    What once helped is done from then on: a run does not fail anew at each step. With `whole` the batch is never split,
    as what acts inside the network looks at all of it. `said` hears of what is done.
    """

    def __init__(
        self, network: Network[Any], lend: Lend, *, whole: bool = False, said: Callable[[str], object] = lambda _: None
    ) -> None:
        self._network, self._lend, self._whole, self._said = network, lend, whole, said
        self._stack = ExitStack()
        self._module: Called | None = None
        self._most: int | None = None
        self._tried: list[str] = []

    def __enter__(self) -> Relieved:
        self._module = self._lend(self._stack)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, x: Tensor, timestep: Tensor, **inputs: Any) -> Tensor:
        """Return what the network gives; raise OutOfMemoryError, which tells what was tried, where nothing helps."""
        while True:
            try:
                return self._split(x, timestep, inputs)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                last = error
            if not self._help(len(x)):
                raise OutOfMemoryError("a step", self._network.device, self._tried) from last

    def _split(self, x: Tensor, timestep: Tensor, inputs: dict[str, Any]) -> Tensor:
        if self._module is None:
            raise RuntimeError("the network is not lent")
        most = self._most or len(x)
        if most >= len(x):
            return self._module(x, timestep, **inputs)
        parts = []
        for first in range(0, len(x), most):
            piece = slice(first, first + most)
            part = {name: value[piece] if isinstance(value, Tensor) else value for name, value in inputs.items()}
            parts.append(self._module(x[piece], timestep[piece], **part))
        return torch.cat(parts)

    def _help(self, batch: int) -> bool:
        """Do the next thing that may help; return whether there was one."""
        if not self._tried:
            self._tell(relieve(self._network.device))
            return True
        most = min(self._most or batch, batch)
        if most > 1 and not self._whole:
            self._most = (most + 1) // 2
            self._tell(f"split the batch into {self._most} at a time")
            return True
        return self._stream()

    def _stream(self) -> bool:
        """Have half of the weights that are there come and go; return whether that can be done."""
        if not isinstance(self._network, Stored):
            return False
        self._stack.close()
        self._module = None
        room = active().shrink(self._network.blueprint)
        if room is None:
            return False
        try:
            self._module = self._lend(self._stack)
        except MemoryShortError:
            return False
        self._tell(f"streamed weights, {room // 2**20} MiB of them stay")
        return True

    def _tell(self, what: str) -> None:
        self._tried.append(what)
        logger.warning("a step took more memory than there is: %s", what)
        self._said(what)
