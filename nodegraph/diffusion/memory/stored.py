"""A network whose weights are in files until it is used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.filling import Tell
from nodegraph.diffusion.memory.manager import active
from nodegraph.diffusion.memory.patches import Patch
from nodegraph.diffusion.values import ModuleT_co, Network


@dataclass(frozen=True, eq=False, repr=False)
class Stored(Network[ModuleT_co]):
    """A network that the process's memory brings when it is used, with patches on it."""

    blueprint: Blueprint
    patches: tuple[Patch, ...] = ()

    @property
    def device(self) -> torch.device:
        """Return where it runs."""
        return self.blueprint.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision at which it runs."""
        return self.blueprint.dtype

    def lend(self, tell: Tell | None = None) -> AbstractContextManager[ModuleT_co]:
        """Lend the module, bringing its weights first where they are not there; `tell` is told how far that is."""
        return active().lend(self.blueprint, self.patches, tell)  # type: ignore[return-value]

    def patched(self, *patches: Patch) -> Stored[ModuleT_co]:
        """Return this network with further patches on it."""
        return replace(self, patches=self.patches + patches)


def stored(network: Network[ModuleT_co]) -> Stored[ModuleT_co]:
    """Return a network as one whose weights are in files; raise ValueError for one that is only in memory."""
    if not isinstance(network, Stored):
        raise ValueError(f"{network!r} comes from no file: only networks of files can be patched, merged and saved")
    return network
