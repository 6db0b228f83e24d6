"""What changes a network's weights without touching them: put on a module, and taken off again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Factors = tuple[Tensor, Tensor]
"""`up` (out, rank) or (out, rank, 1, 1) and `down` (rank, in) or (rank, in, kh, kw), whose product is added."""


class Delta(Protocol):
    """How one tensor of a network is changed."""

    def apply(self, weight: Tensor, strength: float, /) -> Tensor:
        """Return the changed tensor for one in float32, which is left as it is."""
        ...

    def factors(self, strength: float, /) -> Factors | None:
        """Return two small tensors whose product is what `apply` adds, None where it does anything else."""
        ...


@dataclass(frozen=True, eq=False)
class Patch:
    """Changes of a network's tensors, by their names; two with one `key` and strength are the same."""

    key: str
    deltas: Mapping[str, Delta]
    strength: float = 1.0

    @property
    def identity(self) -> tuple[str, float]:
        """What tells it from others."""
        return self.key, self.strength


class Worn:
    """Patches on a module: low-rank ones as a path beside the layer, which costs no copy of the weight and no time.

    Any other change makes a tensor of its own, which takes the place of the base's until the patches are taken off.
    `device` and `dtype` say where the module runs; its weights need not be there yet.
    """

    def __init__(self, module: nn.Module, patches: Sequence[Patch], device: torch.device, dtype: torch.dtype) -> None:
        self.patches = tuple(patches)
        self._undo: list[Callable[[], None]] = []
        self._changes: dict[str, list[tuple[Delta, float]]] = {}
        for name in dict.fromkeys(name for patch in patches for name in patch.deltas):
            deltas = [(patch.deltas[name], patch.strength) for patch in patches if name in patch.deltas]
            layer, leaf = module.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            factors = [delta.factors(strength) for delta, strength in deltas]
            if leaf == "weight" and _takes_a_path(layer) and None not in factors:
                pairs = [(up.to(device, dtype), down.to(device, dtype)) for up, down in filter(None, factors)]
                self._undo.append(_beside(layer, pairs))
            else:
                self._changes[name] = deltas

    @property
    def changed(self) -> Iterable[str]:
        """The names of the tensors that are replaced."""
        return self._changes

    def tensor(self, name: str, base: Tensor) -> Tensor:
        """Return a tensor of the base as the patches want it."""
        if name not in self._changes:
            return base
        weight = base.float()
        for delta, strength in self._changes[name]:
            weight = delta.apply(weight, strength)
        return weight.to(base.dtype)

    def off(self) -> None:
        """Take the paths off; whoever replaced tensors puts the base's back."""
        while self._undo:
            self._undo.pop()()


def _takes_a_path(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def _beside(layer: nn.Module, factors: Sequence[Factors]) -> Callable[[], None]:
    """Add the product of factors to what a layer gives; return what undoes it."""
    up = torch.cat([one.flatten(1) for one, _ in factors], 1)  # (out, ranks)
    if isinstance(layer, nn.Conv2d):
        kernel = (layer.in_channels, *layer.kernel_size)
        down = torch.cat([one.reshape(-1, *kernel) for _, one in factors])  # (ranks, in, kh, kw)
        convolve = partial(F.conv2d, stride=layer.stride, padding=layer.padding, dilation=layer.dilation)

        def path(x: Tensor) -> Tensor:
            return F.conv2d(convolve(x, down), up[..., None, None])

    else:
        down = torch.cat([one.flatten(1) for _, one in factors])  # (ranks, in)

        def path(x: Tensor) -> Tensor:
            return F.linear(F.linear(x, down), up)

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + path(inputs[0])

    return layer.register_forward_hook(hook).remove
