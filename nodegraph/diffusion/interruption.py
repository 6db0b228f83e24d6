"""Stopping within a network's forward, so that a cancel need not wait for a large picture to be decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that only hold others: what stands in one of them is a block."""


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
    for holder in network.modules():
        if isinstance(holder, CONTAINERS):
            for module in holder.children():
                if not isinstance(module, CONTAINERS) and next(module.children(), None) is not None:
                    yield module
