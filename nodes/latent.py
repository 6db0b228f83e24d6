"""Latents: made empty, resized, turned, cut and joined."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nodegraph import Step, node
from nodegraph.diffusion.values import Latent, Mask

if TYPE_CHECKING:
    from torch import Tensor

CELL = 8
"""Pixels that a latent cell stands for along a side, in every model that these nodes serve."""

Side = Annotated[int, Field(ge=16, le=16384), Step(8)]
FreeSide = Annotated[int, Field(ge=0, le=16384), Step(8)]
Offset = Annotated[int, Field(ge=0, le=16384), Step(8)]
Resampling = Literal["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
Crop = Literal["disabled", "center"]


@node("EmptyLatentImage", title="Empty Latent Image", category="latent")
def empty_latent_image(
    width: Side = 512, height: Side = 512, batch_size: Annotated[int, Field(ge=1, le=4096)] = 1
) -> Latent:
    """Make empty latents for pictures of `width` x `height` pixels, to be filled by sampling."""
    import torch

    return Latent(torch.zeros(batch_size, 4, height // CELL, width // CELL))


@node("LatentUpscale", title="Upscale Latent", category="latent")
def latent_upscale(
    samples: Latent, upscale_method: Resampling, width: FreeSide = 512, height: FreeSide = 512, crop: Crop = "disabled"
) -> Latent:
    """Resize latents to a size in pixels; a side of 0 follows from the other."""
    from nodegraph.diffusion.images import free_side

    if width == 0 and height == 0:
        return samples
    old = [side * CELL for side in samples.samples.shape[-2:]]
    wide, high = free_side(old, width, height, least=64)
    return _resized(samples, wide // CELL, high // CELL, upscale_method, crop)


@node("LatentUpscaleBy", title="Upscale Latent By", category="latent")
def latent_upscale_by(
    samples: Latent,
    upscale_method: Resampling,
    scale_by: Annotated[float, Field(ge=0.01, le=8), Step(0.01)] = 1.5,
) -> Latent:
    """Resize latents by a factor."""
    height, width = (max(1, round(side * scale_by)) for side in samples.samples.shape[-2:])
    return _resized(samples, width, height, upscale_method, "disabled")


@node("LatentFromBatch", title="Latent From Batch", category="latent/batch")
def latent_from_batch(
    samples: Latent,
    batch_index: Annotated[int, Field(ge=0, le=63)] = 0,
    length: Annotated[int, Field(ge=1, le=64)] = 1,
) -> Latent:
    """Take `length` latents of a batch from `batch_index` on; they keep the noise that they had in the whole."""
    from nodegraph.diffusion.sampling.regions import to_batch

    size = samples.samples.shape[0]
    first = min(batch_index, size - 1)
    picked = slice(first, min(first + length, size))
    places = samples.batch_index or tuple(range(size))
    mask = samples.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = to_batch(mask, size)[picked].clone()
    return replace(
        samples,
        samples=samples.samples[picked].clone(),
        noise_mask=mask,
        batch_index=places[picked],
        origins=samples.origins[picked],
    )


@node("RepeatLatentBatch", title="Repeat Latent Batch", category="latent/batch")
def repeat_latent_batch(samples: Latent, amount: Annotated[int, Field(ge=1, le=64)] = 1) -> Latent:
    """Repeat a batch of latents; the copies get noise of their own."""
    from nodegraph.diffusion.sampling.regions import to_batch

    mask, places = samples.noise_mask, samples.batch_index
    if mask is not None and mask.shape[0] > 1:
        mask = to_batch(mask, samples.samples.shape[0]).repeat(amount, 1, 1)
    if places is not None:
        span = max(places) - min(places) + 1
        places = tuple(place + copy * span for copy in range(amount) for place in places)
    return replace(
        samples,
        samples=samples.samples.repeat(amount, 1, 1, 1),
        noise_mask=mask,
        batch_index=places,
        origins=samples.origins * amount,
    )


@node("SetLatentNoiseMask", title="Set Latent Noise Mask", category="latent/inpaint")
def set_latent_noise_mask(samples: Latent, mask: Mask) -> Latent:
    """Limit sampling to where the mask is 1; the rest of the picture stays."""
    return replace(samples, noise_mask=mask.values)


@node("LatentFlip", title="Flip Latent", category="latent/transform")
def latent_flip(samples: Latent, flip_method: Literal["x-axis: vertically", "y-axis: horizontally"]) -> Latent:
    """Mirror latents upside down or left to right."""
    return _moved(samples, lambda t: t.flip(-2 if flip_method.startswith("x") else -1))


@node("LatentRotate", title="Rotate Latent", category="latent/transform")
def latent_rotate(samples: Latent, rotation: Literal["none", "90 degrees", "180 degrees", "270 degrees"]) -> Latent:
    """Turn latents clockwise."""
    turns = {"none": 0, "90 degrees": 3, "180 degrees": 2, "270 degrees": 1}[rotation]
    return _moved(samples, lambda t: t.rot90(turns, (-2, -1)))


@node("LatentCrop", title="Crop Latent", category="latent/transform")
def latent_crop(
    samples: Latent,
    width: Annotated[int, Field(ge=64, le=16384), Step(8)] = 512,
    height: Annotated[int, Field(ge=64, le=16384), Step(8)] = 512,
    x: Offset = 0,
    y: Offset = 0,
) -> Latent:
    """Cut a rectangle, given in pixels, out of latents; a corner too far out is moved in."""
    from nodegraph.diffusion.sampling.regions import resized_mask

    rows, columns = samples.samples.shape[-2:]
    left = min(x // CELL, max(0, columns - 64 // CELL))
    top = min(y // CELL, max(0, rows - 64 // CELL))
    window = (..., slice(top, top + height // CELL), slice(left, left + width // CELL))
    mask = samples.noise_mask
    if mask is not None:
        mask = resized_mask(mask, rows, columns)[window].clone()
    return replace(samples, samples=samples.samples[window].clone(), noise_mask=mask)


def _resized(samples: Latent, width: int, height: int, method: Resampling, crop: Crop) -> Latent:
    from nodegraph.diffusion.images import resize
    from nodegraph.diffusion.sampling.regions import resized_mask

    mask = samples.noise_mask
    if mask is not None and crop != "disabled":  # else it still covers the whole, at any size
        planes = resized_mask(mask, *samples.samples.shape[-2:])[:, None]
        mask = resize(planes, width, height, "bilinear", crop)[:, 0]
    return replace(samples, samples=resize(samples.samples, width, height, method, crop), noise_mask=mask)


def _moved(samples: Latent, move: "Callable[[Tensor], Tensor]") -> Latent:
    mask = None if samples.noise_mask is None else move(samples.noise_mask)
    return replace(samples, samples=move(samples.samples), noise_mask=mask)
