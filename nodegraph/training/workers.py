"""Data-parallel training in several processes of one machine, each with its own batch and one averaged gradient.

On a CPU two processes of one thread outrun one process of two threads: they meet once a step instead of at each
operation, which also keeps them going where other programs take a core now and then.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn


def rank() -> int:
    """Return this process's number among the workers, 0 where there is only one."""
    return dist.get_rank() if _started() else 0


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Give every worker the mean of all workers' gradients; nothing where there is only one."""
    if not _started():
        return
    gradients = [value.grad for value in parameters if value.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def run_workers(function: Callable[..., None], arguments: tuple[object, ...], count: int, threads: int = 1) -> None:
    """Call `function(*arguments)` in `count` processes that train together; in this one where `count` is 1.

    The function must be importable by name and its arguments picklable.
    """
    if count == 1:
        function(*arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = Path(folder) / "meet"
        torch.multiprocessing.spawn(  # type: ignore[attr-defined,no-untyped-call]
            _work, (rendezvous.as_uri(), count, threads, function, arguments), nprocs=count
        )


def _work(
    number: int, rendezvous: str, count: int, threads: int, function: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    torch.set_num_threads(threads)
    dist.init_process_group("gloo", init_method=rendezvous, rank=number, world_size=count)
    try:
        function(*arguments)
    finally:
        dist.destroy_process_group()


def _started() -> bool:
    return dist.is_available() and dist.is_initialized()
