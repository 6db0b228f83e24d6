"""Stopping within a network's forward, so that a cancel need not wait for a large picture to be decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from nodegraph.diffusion.memory.compiling import runs_as_one

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that only hold others: what stands in one of them is a block."""


class Listener(Protocol):
    """Who is told how far work is, and raises to stop it: the context of a node."""

    def check_cancelled(self) -> None:
        """Raise to stop."""

    def progress(self, value: float, total: float, message: str = "", /) -> None:
        """Hear that `value` of `total` is done; raise to stop."""


@dataclass(frozen=True)
class Watch:
    """A check that also hears how many bytes of a network's weights are there, while they are brought."""

    listener: Listener

    def __call__(self) -> None:
        """Raise to stop."""
        self.listener.check_cancelled()

    def bringing(self, done: int, total: int) -> None:
        """Hear how far the weights are; raise to stop."""
        self.listener.progress(done, total, "bytes")

    def said(self, message: str) -> None:
        """Hear what is done instead, as memory ran out."""
        self.listener.progress(0, 1, message)


def bringing(check: Callable[[], object]) -> Callable[[int, int], object]:
    """Return what to call while weights are brought, for a check that may be a `Watch`."""
    return check.bringing if isinstance(check, Watch) else lambda done, total: check()


@contextmanager
def interruptible(network: nn.Module, check: Callable[[], object], *, convolutions: bool = False) -> Iterator[None]:
    """Call `check` before each block of a network that this thread calls, and before each convolution on request.

    It raises to stop. Convolutions are worth it where one takes long, as an autoencoder's do at full size.
    """
    thread = threading.get_ident()

    def look(module: nn.Module, inputs: Any) -> None:
        if threading.get_ident() == thread:  # another run may use the network at the same time
            check()

    modules = dict.fromkeys(_blocks(network))
    if convolutions:
        modules |= dict.fromkeys(module for module in network.modules() if isinstance(module, nn.Conv2d))
    hooks = [module.register_forward_pre_hook(look) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Give what stands in a container and has parts of its own: residual blocks, attention blocks, layers."""
    yield network
    inside = {part for module in network.modules() if runs_as_one(module) for part in module.modules()}
    for holder in network.modules():
        if isinstance(holder, CONTAINERS) and holder not in inside:
            for module in holder.children():
                if not isinstance(module, CONTAINERS) and next(module.children(), None) is not None:
                    yield module
