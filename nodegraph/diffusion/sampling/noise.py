"""Where noise comes from: seeded generators, so that a seed gives the same picture everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.brownian import BrownianTree
from nodegraph.diffusion.values import Latent, Noise

SEEDS = 1 << 64
"""Seeds are 0 .. SEEDS - 1."""


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator with its stream at the start of `seed`, 0 .. 2**64 - 1."""
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed: got {seed}, expected 0 .. {SEEDS - 1}")
    return torch.Generator(device).manual_seed(seed)


def initial_noise(
    shape: Sequence[int],
    seed: int,
    batch_index: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the noise (B, C, h, w) that sampling starts from, always drawn on the CPU.

    Without `batch_index` the batch is one draw. With it each sample is a draw of its own, and sample i is the
    `batch_index[i]`-th of them, whatever else the batch holds.
    """
    draws = generator(seed)
    if batch_index is None:
        return torch.randn(tuple(shape), generator=draws, dtype=dtype)
    if len(batch_index) != shape[0]:
        raise ValueError(f"batch_index: got {len(batch_index)} indices for a batch of {shape[0]}")
    wanted = set(batch_index)
    drawn: dict[int, Tensor] = {}
    for index in range(max(batch_index) + 1):
        sample = torch.randn((1, *shape[1:]), generator=draws, dtype=dtype)
        if index in wanted:
            drawn[index] = sample
    return torch.cat([drawn[index] for index in batch_index])


def noise_for(noise: Noise, latent: Latent) -> Tensor:
    """Return the noise (B, C, h, w) that a sampling of `latent` starts from, on the CPU; zeros where it is silent."""
    samples = latent.samples
    if noise.silent:
        return torch.zeros_like(samples)
    return initial_noise(samples.shape, noise.seed, latent.batch_index, samples.dtype)


class GaussianNoise:
    """Fresh draws from a generator on x's device, one a call."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self._generator = generator(seed, device)

    def __call__(self, x: Tensor, sigma: float, lower: float, /) -> Tensor:
        """Return the next draw."""
        return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=self._generator)


class BrownianNoise:
    """Increments of one Brownian path over the noise levels, drawn on `device` and handed to x's.

    However the levels are spaced, the path is the same, so that more steps refine a picture instead of changing it.
    """

    def __init__(
        self,
        shape: Sequence[int],
        sigma_min: float,
        sigma_max: float,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._make_tree = partial(BrownianTree, shape, sigma_min, sigma_max, seed, device, dtype)
        self._tree: BrownianTree | None = None  # made when it is asked: a run of one step has no path, and needs none
        self._known: dict[float, Tensor] = {}

    def __call__(self, x: Tensor, sigma: float, lower: float, /) -> Tensor:
        """Return the path's increment from `sigma` to `lower`, scaled to unit variance."""
        start, end = self._at(sigma), self._at(lower)
        self._known = {sigma: start, lower: end}  # a step begins where the one before ended
        return _handed_to(x, (end - start) / math.sqrt(abs(sigma - lower)))

    def _at(self, sigma: float) -> Tensor:
        if sigma in self._known:
            return self._known[sigma]
        self._tree = self._tree or self._make_tree()
        return self._tree(sigma)


def _handed_to(x: Tensor, noise: Tensor) -> Tensor:
    """Return noise in x's precision on its device, without waiting for what that device still has to do."""
    if x.device.type == "cuda" and noise.device.type == "cpu":
        return noise.to(x.dtype).pin_memory().to(x.device, non_blocking=True)
    return noise.to(x)
