"""Sampling that changes only the masked part of a latent."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import Denoiser, Path


class Inpainting:
    """A denoiser that keeps `latent` (B, C, h, w) where `mask` (B, 1, h, w) is 0.

    The kept part reaches the network with `noise` at the step's own level, as if it were being sampled too.
    """

    def __init__(self, denoise: Denoiser, mask: Tensor, latent: Tensor, noise: Tensor, path: Path) -> None:
        self._denoise, self._mask, self._latent, self._noise, self._path = denoise, mask, latent, noise, path

    def __call__(self, x: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Return the clean sample, outside the mask the latent itself; a tensor `sigma` holds one level."""
        kept = self._path.mix(self._latent, self._noise, float(sigma.max()) if isinstance(sigma, Tensor) else sigma)
        seen = torch.lerp(kept, x, self._mask)
        return torch.lerp(self._latent, self._denoise(seen, sigma), self._mask)
