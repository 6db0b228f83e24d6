"""Pictures to latents and back through an autoencoder, in its own precision and on its own device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.diffusion.interruption import bringing, interruptible
from nodegraph.diffusion.values import Vae

if TYPE_CHECKING:
    from nodegraph.diffusion.models.vae import Autoencoder


def encode(vae: Vae, pixels: Tensor, check: Callable[[], object] = lambda: None) -> Tensor:
    """Return the mode of the posterior of `pixels` (B, H, W, 3 or 4) in [0, 1]: latents (B, C, h, w) float32, unscaled.

    Sides are cut about the middle to multiples of the autoencoder's cell. `check` is called within the network; what it
    raises stops it. Raises ValueError for a smaller picture.
    """
    cell = vae.downscale
    height, width = (side // cell * cell for side in pixels.shape[1:3])
    if not height or not width:
        raise ValueError(
            f"a picture of {tuple(pixels.shape[1:3])} is too small: expected at least {cell} pixels a side"
        )
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    cut = pixels[:, top : top + height, left : left + width, :3]
    planes = cut.expand(-1, -1, -1, 3).movedim(-1, 1)  # grey is spread; (B, 3, H, W)
    samples = torch.empty(len(planes), vae.latent_channels, height // cell, width // cell)
    with _running(vae, check) as network:
        for filled, one in zip(samples, planes, strict=True):
            filled.copy_(network.encode(_like(network, one[None] * 2.0 - 1.0)).mode()[0])
    return samples


def decode(vae: Vae, samples: Tensor, check: Callable[[], object] = lambda: None) -> Tensor:
    """Return pixels (B, H, W, 3) float32 in [0, 1] of latents (B, C, h, w), unscaled; NaN where there is no value.

    Pictures are decoded one by one: the decoder, not its weights, is what takes memory. `check` is called within the
    network; what it raises stops it. Raises ValueError for latents of another autoencoder.
    """
    if samples.shape[1] != vae.latent_channels:
        raise ValueError(
            f"the latents have {samples.shape[1]} channels, but this autoencoder takes {vae.latent_channels}"
        )
    height, width = (side * vae.downscale for side in samples.shape[2:])
    pixels = torch.empty(len(samples), height, width, 3)
    with _running(vae, check) as network:
        for filled, one in zip(pixels, samples, strict=True):
            filled.copy_(network.decode(_like(network, one[None]))[0].movedim(0, -1))
    pixels.masked_fill_(pixels.isinf(), torch.nan)  # a damaged picture shall not look like a white one
    return pixels.add_(1.0).div_(2.0).clamp_(0.0, 1.0)


@contextmanager
def _running(vae: Vae, check: Callable[[], object]) -> Iterator[Autoencoder]:
    """Lend the network for inference that `check` can stop, before each of its convolutions."""
    with (
        vae.network.lend(bringing(check)) as network,
        interruptible(network, check, convolutions=True),
        torch.inference_mode(),
    ):
        yield network


def _like(network: torch.nn.Module, x: Tensor) -> Tensor:
    return x.to(next(network.parameters()))
