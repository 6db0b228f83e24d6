"""Bring a network's tensors from where they are stored to where they run."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from nodegraph.diffusion.memory.blueprint import Blueprint

Tell = Callable[[int, int], object]
"""Called with the bytes brought and the bytes in all; what it raises stops the bringing."""


def filled(
    blueprint: Blueprint, names: Collection[str] | None = None, tell: Tell | None = None, *, mapped: bool = True
) -> dict[str, Tensor]:
    """Return a network's tensors, or those of `names`, where they are to run.

    On the CPU those that are stored at the precision wanted are pages of their file, unless `mapped` is false: nothing
    is copied. Raises a WeightsError where a file is gone, damaged or not the one it was.
    """
    weights, device, dtype = blueprint.weights, blueprint.device, blueprint.dtype
    wanted = [name for name in weights.shapes if names is None or name in names]
    total, done = sum(weights.size(name) for name in wanted), 0

    def check(size: int) -> None:
        nonlocal done
        done += size
        if tell is not None:
            tell(done, total)

    found: dict[str, Tensor] = {}
    shapes = {name: tensor.shape for name, tensor in blueprint.empty().state_dict().items()}
    with weights.opened() as reader:
        for name in wanted:
            if mapped and device.type == "cpu" and weights.dtype(name) == dtype:
                found[name] = reader.read(name).reshape(shapes[name])
                check(weights.size(name))
            else:
                found[name] = torch.empty(shapes[name], device=device, dtype=dtype)
                reader.copy(name, found[name], check)
    return found
