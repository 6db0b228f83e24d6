"""Blocks of a network compiled by torch: what lies between two matrix products becomes one loop, or one GPU kernel.

A network names the kinds of blocks that it repeats (`repeated`). Each kind is compiled once for each of its shapes, at
its first call, and torch keeps the code on disk for later processes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.packing import is_packed

logger = logging.getLogger(__name__)

SHAPES = 256
"""Shapes of one kind of block that are compiled before further ones run as they are."""


def compile_blocks(network: nn.Module) -> None:
    """Have a network run its repeated blocks compiled; one that repeats none stays as it is."""
    kinds: tuple[type[nn.Module], ...] = getattr(network, "repeated", ())
    for block in [module for module in network.modules() if isinstance(module, kinds)]:
        block.forward = Compiled(block)


def runs_as_one(module: nn.Module) -> bool:
    """Tell whether a module's parts are not called one by one, so that nothing is to be hooked to them for a look."""
    return isinstance(module.__dict__.get("forward"), Compiled)


def keep_compiled(folder: Path) -> None:
    """Keep what is compiled in a folder, unless the user has told torch where to."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


class Compiled:
    """What a block computes, compiled; as it is while something is hooked to a part of it or put in its place.

    The block is not held: with it and this in a circle, weights would stay until the next collection of garbage.
    """

    def __init__(self, block: nn.Module) -> None:
        self._block, self._packed = ref(block), _packed(block)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Run the block."""
        block = self._block()
        if block is None:
            raise ReferenceError("the block of this is gone")
        plain = type(block).forward
        if torch.is_grad_enabled() or self._changed(block):
            return plain(block, *inputs)  # type: ignore[no-any-return]
        return _run(plain, block, *inputs)

    def _changed(self, block: nn.Module) -> bool:
        """Tell whether LoRAs or options are on the block, or its weights come and go."""
        parts = (part for part in block.modules() if part is not block)
        return any(part._forward_pre_hooks or part._forward_hooks for part in parts) or _packed(block) < self._packed


def _packed(block: nn.Module) -> int:
    """Count the parts of a block that use packed weights."""
    return sum(map(is_packed, block.modules()))


def _run(plain: Callable[..., Tensor], block: nn.Module, *inputs: Tensor) -> Tensor:
    """Run a block's forward compiled, or as it is where this machine cannot compile."""
    from torch._dynamo.exc import TorchDynamoException

    if _trouble:
        return plain(block, *inputs)
    try:
        return _compiled(plain)(block, *inputs)
    except TorchDynamoException as error:
        _trouble.append(str(error))
        said = str(error).strip().splitlines()
        logger.warning("nothing is compiled: torch's compiler does not work here: %s", said[0] if said else error)
        return plain(block, *inputs)


_trouble: list[str] = []
"""Why torch's compiler does not work in this process; empty: it does, as far as is known."""


@cache
def _compiled(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    import torch._dynamo.config as settings

    limits: Any = settings
    limits.recompile_limit = max(limits.recompile_limit, SHAPES)
    limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, SHAPES)
    logger.info("compiling the blocks of networks: the first time a size is used takes up to a minute")
    return torch.compile(plain, dynamic=False)
