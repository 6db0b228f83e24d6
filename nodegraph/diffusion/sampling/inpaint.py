"""Sampling that changes only the masked part of a latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Path, Table
from nodegraph.diffusion.sampling.guidance import Guided, highest

MaskAt = Callable[[float], Tensor]
"""`sigma` -> what may change at that level, (B, 1, h, w) in [0, 1]."""


class Inpainting:
    """A denoiser that keeps `latent` (B, C, h, w) where the mask is 0.

    The kept part reaches the network with `noise` at the step's own level, as if it were being sampled too.
    """

    def __init__(self, denoise: Guided, mask: MaskAt, latent: Tensor, noise: Tensor, path: Path) -> None:
        self._denoise, self._mask, self._latent, self._noise, self._path = denoise, mask, latent, noise, path

    def __call__(self, x: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Return the clean sample, outside the mask the latent itself; a tensor `sigma` holds one level."""
        seen, mask = self._seen(x, sigma)
        return torch.lerp(self._latent, self._denoise(seen, sigma), mask)

    def both(self, x: Tensor, sigma: float | Tensor, /) -> tuple[Tensor, Tensor]:
        """Return the clean sample, outside the mask the latent itself, and all of the negative conditioning's."""
        seen, mask = self._seen(x, sigma)
        clean, negative = self._denoise.both(seen, sigma)
        return torch.lerp(self._latent, clean, mask), negative

    def _seen(self, x: Tensor, sigma: float | Tensor) -> tuple[Tensor, Tensor]:
        level = highest(sigma)
        mask = self._mask(level)
        return torch.lerp(self._path.mix(self._latent, self._noise, level), x, mask), mask


def mask_by_level(mask: Tensor, strength: float, table: Table, levels: Sequence[float]) -> MaskAt:
    """Return a mask (B, 1, h, w) whose values tell from which of the levels on a place may change.

    Of differential diffusion (Levin and Fried 2023): 1 changes from the start, lower values later. `strength` mixes
    it with the mask itself.
    """
    end = float(table.timestep(max(table.sigma_min, levels[-1])))
    start = float(table.timestep(levels[0]))

    def at(sigma: float) -> Tensor:
        passed = (float(table.timestep(sigma)) - end) / (start - end) if start != end else 0.0
        return torch.lerp(mask, (mask >= passed).to(mask), strength)

    return at
