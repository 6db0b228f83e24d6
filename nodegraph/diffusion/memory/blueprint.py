"""What a network is before its weights are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nodegraph.diffusion.weights.store import Weights


class _Unset(TorchFunctionMode):
    """Leaves the weights of new modules as they are: torch takes a second to learn how to draw those without memory."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A network as it is stored, and where and how precisely it is to run.

    `build` makes the module, without weights where the meta device is the default one. `title` names it for people.
    """

    build: Callable[[], nn.Module]
    weights: Weights
    device: torch.device
    dtype: torch.dtype
    title: str = "a network"
    config: Any = None
    """What `build` makes it from, where its file is to tell it."""

    @property
    def key(self) -> tuple[str, str, torch.dtype]:
        """What tells its tensors, where they run, from all others."""
        return self.weights.key, str(self.device), self.dtype

    def empty(self) -> nn.Module:
        """Return a module for the caller alone, without memory for its weights."""
        with suppress(IndexError):
            return self._spare.pop()
        with torch.device("meta"), _Unset():
            return self.build().eval().requires_grad_(False)

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each tensor as the module has it: stored ones may have more or fewer ones at their end."""
        module = self.empty()
        shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        self._spare.append(module)
        return shapes

    @cached_property
    def _spare(self) -> list[nn.Module]:
        """Modules that nobody has: making one takes as long as reading a hundred megabytes."""
        return []

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The bytes that each tensor takes where it runs."""
        return {name: prod(shape) * self.dtype.itemsize for name, shape in self.weights.shapes.items()}

    @property
    def size(self) -> int:
        """The bytes that all tensors take where they run."""
        return sum(self.sizes.values())
