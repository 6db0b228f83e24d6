"""Pictures and masks prepared for inpainting: by any model, or by one that was trained to be shown them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from nodegraph.diffusion.autoencoding import encode
from nodegraph.diffusion.masks import spread
from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.values import Conditioning, Vae

LATENT, MASK = "concat_latent", "concat_mask"
"""Extras of a conditioning: the latents (B, C, h, w), unscaled, of a picture that the network is shown beside the noisy
one, and a mask (B, 1, H, W), at any size, of what it is to paint."""


@dataclass(frozen=True)
class Masked:
    """Pictures (B, H, W, C) of whole latent cells, the same with grey where they are masked, and the mask (B, H, W)."""

    pixels: Tensor
    hidden: Tensor
    mask: Tensor


def masked(vae: Vae, pixels: Tensor, mask: Tensor) -> Masked:
    """Cut pictures about the middle to whole cells, and grey out what a mask, brought to their size, marks."""
    cell = vae.downscale
    height, width = pixels.shape[1:3]
    values = to_batch(resized_mask(mask, height, width), len(pixels) if len(mask) > 1 else 1)
    top, left = height % cell // 2, width % cell // 2
    window = (slice(None), slice(top, top + height // cell * cell), slice(left, left + width // cell * cell))
    pixels, values = pixels[window], values[window]
    hidden = pixels.clone()
    colors = hidden[..., :3]
    colors.sub_(0.5).mul_(1.0 - values.round()[..., None]).add_(0.5)
    return Masked(pixels, hidden, values)


def encoded_for_inpainting(
    vae: Vae, pixels: Tensor, mask: Tensor, grow: int, check: Callable[[], object] = lambda: None
) -> tuple[Tensor, Tensor]:
    """Return latents of pictures that are grey where they are masked, and the mask (B, H, W) grown by `grow` pixels."""
    parts = masked(vae, pixels, mask)
    return encode(vae, parts.hidden, check), spread(parts.mask, grow)


def shown(conditioning: Conditioning, latent: Tensor, mask: Tensor | None = None) -> Conditioning:
    """Return a conditioning that shows the network a picture's latents and, if there is one, a mask (B, H, W)."""
    added = {LATENT: latent} if mask is None else {LATENT: latent, MASK: mask[:, None]}
    entries = conditioning.entries
    return Conditioning(tuple(replace(entry, extras={**entry.extras, **added}) for entry in entries))
