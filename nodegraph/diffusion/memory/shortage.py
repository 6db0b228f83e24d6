"""What is done when memory runs out: others go first, then the work is made smaller, and what was tried is told."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from nodegraph.diffusion.memory.manager import active, told

logger = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")
Attempt = tuple[str, Callable[[], ResultT]]
"""What is tried, as people call it, and what does it."""


class OutOfMemoryError(RuntimeError):
    """Work that does not fit into memory however small it was made; `tried` says what was done for it."""

    def __init__(self, what: str, device: torch.device | str, tried: Sequence[str]) -> None:
        super().__init__(
            f"{what} takes more memory than there is on {device}; tried: {'; '.join(tried)}. "
            "A smaller picture or batch, a lower precision or fewer other programs would fit"
        )
        self.tried = tuple(tried)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that a device or the machine has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def relieve(device: torch.device | str) -> str:
    """Let go of what nobody uses on a device; return in words what was done."""
    freed = active().free(device)
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return f"let go of other networks ({told(freed)})"


def first_that_fits(
    what: str,
    device: torch.device | str,
    attempts: Sequence[Attempt[ResultT]],
    said: Callable[[str], object] = lambda _: None,
) -> ResultT:
    """Return what the first attempt gives that memory suffices for; before the second, what nobody uses is let go.

    `said` hears of each that failed. Raises OutOfMemoryError, which tells what was tried, where none does.
    """
    tried: list[str] = []
    (name, attempt), rest = attempts[0], list(attempts[1:])
    rest.insert(0, ("once more", attempt))
    while True:
        try:
            return attempt()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            last = error
        tried.append(name)
        if len(tried) == 1:
            tried.append(relieve(device))
        if not rest:
            raise OutOfMemoryError(what, device, tried) from last
        name, attempt = rest.pop(0)
        message = f"{what} took more memory than there is: going on {name}"
        logger.warning("%s", message)
        said(message)
