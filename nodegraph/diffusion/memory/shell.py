"""A network's module around tensors that it shares with others: what is put on one of them changes no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.compiling import compile_blocks
from nodegraph.diffusion.memory.filling import filled
from nodegraph.diffusion.memory.packing import use
from nodegraph.diffusion.memory.patches import Patch, Worn
from nodegraph.diffusion.memory.streaming import Stream, put
from nodegraph.diffusion.weights.store import Reader

NO_PATCHES: Final[tuple[Patch, ...]] = ()


class Shell:
    """A module of a blueprint; `tensors` are those of the base that are there, the rest comes and goes as it runs.

    Layers whose weight is `packed` use that. `module`, if one is at hand, is an empty one for nobody else. With
    `compiled` the blocks that it repeats are run by torch's compiler.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        tensors: Mapping[str, Tensor],
        packed: Mapping[str, Tensor] = MappingProxyType({}),
        module: nn.Module | None = None,
        compiled: bool = False,
    ) -> None:
        self.module = blueprint.empty() if module is None else module
        self._blueprint, self._tensors, self._packed = blueprint, tensors, packed
        self._worn = self._wear(NO_PATCHES)
        for name in tensors:
            self._restore(name)
        if compiled:
            compile_blocks(self.module)

    @property
    def patches(self) -> tuple[tuple[str, float], ...]:
        """What tells the patches that are on it."""
        return tuple(patch.identity for patch in self._worn.patches)

    def wear(self, patches: Sequence[Patch]) -> None:
        """Take off what is on it, and put these patches on."""
        if self.patches == tuple(patch.identity for patch in patches):
            return
        self._worn.off()
        for name in self._worn.changed:
            if name in self._tensors:
                self._restore(name)
        self._worn = self._wear(NO_PATCHES)
        self._worn = self._wear(patches)
        changed = [name for name in self._worn.changed if name in self._tensors]
        packed = [name for name in changed if name in self._packed]
        plain = filled(self._blueprint, packed) if packed else {}
        for name in changed:
            owner = _place(self.module, name, self._worn.tensor(name, plain.get(name, self._tensors[name])))
            if name in plain:
                use(owner, None)

    @contextmanager
    def running(
        self, reader: Reader | None, window: int, limit: int | None = None, learned: list[str] | None = None
    ) -> Iterator[nn.Module]:
        """Lend the module; `reader` brings the tensors that are not there, of which `window` bytes wait ahead.

        Then the process tries to stay below `limit` bytes, and `learned` tells in which order layers are called.
        """
        if reader is None:
            yield self.module
            return
        blueprint = self._blueprint
        there, change = self._tensors.keys(), self._worn.tensor
        with Stream(self.module, blueprint, there, reader, window, change, limit, learned):
            yield self.module

    def _restore(self, name: str) -> None:
        """Put the base's tensor into its place."""
        owner = _place(self.module, name, self._tensors[name])
        if name in self._packed:
            use(owner, self._packed[name])

    def _wear(self, patches: Sequence[Patch]) -> Worn:
        return Worn(self.module, patches, self._blueprint.device, self._blueprint.dtype)


def _place(module: nn.Module, name: str, tensor: Tensor) -> nn.Module:
    """Put a tensor into its place; return the module that owns it."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    put(owner, leaf, tensor)
    return owner
