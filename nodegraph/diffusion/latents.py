"""Arithmetic of latents (B, C, h, w), by the rules of ComfyUI's nodes; nothing changes its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.diffusion.filters import sharpen
from nodegraph.diffusion.images import Resampling, resize
from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.values import Latent


def fitted(samples: Tensor, like: Tensor, method: Resampling = "bilinear", *, batch: bool = True) -> Tensor:
    """Return samples of the size of `like`, cut about the middle to its shape, and of its batch by going round again.

    Raises ValueError where the channels differ.
    """
    if samples.shape[1] != like.shape[1]:
        raise ValueError(f"the latents have {samples.shape[1]} and {like.shape[1]} channels, expected as many in both")
    height, width = like.shape[-2:]
    samples = resize(samples, width, height, method, "center")
    return to_batch(samples, len(like)) if batch else samples


def interpolated(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Mix directions and lengths of the channel vectors apart; a share of 1 is the first alone."""
    norms = [samples.norm(dim=1, keepdim=True) for samples in (first, second)]
    directions = [(samples / norm).nan_to_num() for samples, norm in zip((first, second), norms, strict=True)]
    mixed = torch.lerp(directions[1], directions[0], share)
    straight = (mixed / mixed.norm(dim=1, keepdim=True)).nan_to_num()
    out: Tensor = straight * torch.lerp(norms[1], norms[0], share)
    return out


def tonemapped(samples: Tensor, multiplier: float) -> Tensor:
    """Compress the lengths of the channel vectors (Reinhard et al. 2002), white at five deviations above the mean."""
    size: Tensor = samples.norm(dim=1, keepdim=True)
    top = (size.std(dim=(1, 2, 3), keepdim=True) * 5 + size.mean(dim=(1, 2, 3), keepdim=True)) * multiplier
    relative = size / top
    return samples / (size + 1e-10) * (relative / (relative + 1) * top)


def sharpened(samples: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """Sharpen the directions of the channel vectors and keep their lengths."""
    size: Tensor = samples.norm(dim=1, keepdim=True) + 1e-6
    return sharpen(samples / size, radius, sigma, alpha) * size


def cut(samples: Tensor, dim: int, index: int, amount: int) -> Tensor:
    """Return `amount` rows of a dimension from `index` on, counted from the end where it is negative."""
    length = samples.shape[dim]
    if index >= 0:
        index = min(index, length - 1)
        amount = min(length - index, amount)
    else:
        index = max(index, -length)
        amount = min(-index, amount)
    return samples.narrow(dim, index, amount).clone()


def rebatched(latents: Sequence[Latent], size: int) -> list[Latent]:
    """Put latents, one after another, into batches of `size`; a new size of picture begins a new batch.

    Each sample keeps the place in its batch from which its noise is drawn; those that have none are counted through.
    """
    singles: list[Latent] = []
    for latent in latents:
        singles += _singles(latent, first=len(singles))
    batches: list[list[Latent]] = []
    for single in singles:
        fits = batches and len(batches[-1]) < size and batches[-1][0].samples.shape == single.samples.shape
        if fits:
            batches[-1].append(single)
        else:
            batches.append([single])
    return [_joined(batch) for batch in batches]


def joined_origins(*latents: Latent) -> Latent:
    """Return the first latent with the origins and places of all; unknown ones make all unknown."""
    origins = tuple(origin for latent in latents for origin in latent.origins)
    known = all(latent.origins for latent in latents)
    places = tuple(place for latent in latents for place in latent.batch_index or range(len(latent.samples)))
    samples = torch.cat([latent.samples for latent in latents])
    return replace(latents[0], samples=samples, batch_index=places, origins=origins if known else ())


def _singles(latent: Latent, first: int) -> list[Latent]:
    count = len(latent.samples)
    places = latent.batch_index or range(first, first + count)
    mask = None if latent.noise_mask is None else to_batch(latent.noise_mask, count)
    return [
        Latent(
            latent.samples[i : i + 1],
            None if mask is None else mask[i : i + 1],
            (place,),
            latent.origins[i : i + 1],
        )
        for i, place in enumerate(places)
    ]


def _joined(batch: Sequence[Latent]) -> Latent:
    """Return one latent of single ones; where some have a mask, the others are sampled everywhere."""
    whole = joined_origins(*batch)
    masks = [latent.noise_mask for latent in batch]
    known = [mask for mask in masks if mask is not None]
    if not known:
        return replace(whole, noise_mask=None)
    height, width = known[0].shape[-2:]
    full = torch.ones(1, height, width)
    rows = [full if mask is None else resized_mask(mask, height, width) for mask in masks]
    return replace(whole, noise_mask=torch.cat(rows))
