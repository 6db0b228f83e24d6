"""What some networks are shown beside the noisy sample, in further channels: a picture, a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from nodegraph.diffusion.images import resize
from nodegraph.diffusion.inpainting import LATENT, MASK
from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.values import Conditioning, Latent, Model

CONCAT: Final = "concat"
"""The network input that the denoiser puts after the channels of the noisy sample."""
GREY: Final = (0.8223, -0.6876, 0.6364, 0.1380)
"""What Stable Diffusion 1's autoencoder makes of grey, as the network sees it: a picture that is masked all over."""


def with_concat(conditioning: Conditioning, model: Model, latent: Latent, clean: Tensor) -> Conditioning:
    """Return the conditioning with the input `concat` (B, C, h, w) that the model wants, not with what makes it.

    `latent` is what the sampling starts from, `clean` (B, C, h, w) its samples as the network sees them: where a
    conditioning shows no picture, an inpainting model is shown these and the latent's mask, or all grey where there is
    no mask either.
    """
    entries = []
    for entry in conditioning.entries:
        extras = {name: tensor for name, tensor in entry.extras.items() if name not in (LATENT, MASK)}
        if model.concat == "inpaint":
            extras[CONCAT] = _inpaint(entry.extras, model, latent, clean)
        elif model.concat == "image":
            extras[CONCAT] = _image(entry.extras, clean)
        entries.append(replace(entry, extras=extras))
    return Conditioning(tuple(entries))


def _inpaint(extras: Mapping[str, Tensor], model: Model, latent: Latent, clean: Tensor) -> Tensor:
    """Return the mask and then the masked picture, scaled as the noisy sample is (the order of SD 1.5 inpainting)."""
    batch, channels, height, width = clean.shape
    mask = extras[MASK][:, 0] if MASK in extras else latent.noise_mask
    if mask is None:
        picture = clean.new_tensor(GREY[:channels])[:, None, None].expand(batch, -1, height, width)
        return torch.cat([clean.new_ones(batch, 1, height, width), picture], dim=1)
    marked = to_batch(resized_mask(mask, height, width).round(), batch)[:, None].to(clean)
    if LATENT in extras:
        scaled = (extras[LATENT].float() - model.latent.shift) * model.latent.scale
        return torch.cat([marked, _fitted(scaled, clean)], dim=1)
    return torch.cat([marked, clean], dim=1)


def _image(extras: Mapping[str, Tensor], clean: Tensor) -> Tensor:
    """Return the picture, not scaled (InstructPix2Pix); zeros where there is none."""
    return _fitted(extras[LATENT], clean) if LATENT in extras else torch.zeros_like(clean)


def _fitted(samples: Tensor, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    return to_batch(resize(samples, width, height, "bilinear", "center"), len(like)).to(like)
