"""Latents added, mixed, joined, and changed by operations."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nodegraph import Step, Widget, node
from nodegraph.diffusion.values import Latent, LatentOperation, Mask, Model

if TYPE_CHECKING:
    from torch import Tensor

CELL = 8
"""Pixels that a latent cell stands for along a side, in every model that these nodes serve."""

Share = Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")]
Offset = Annotated[int, Field(ge=0, le=16384), Step(8)]
DIMENSIONS = {"x": -1, "y": -2, "t": -3}


@node("LatentAdd", category="latent/advanced")
def latent_add(samples1: Latent, samples2: Latent) -> Latent:
    """Add latents; the second ones take the size of the first."""
    return _mixed(samples1, samples2, lambda first, second: first + second)


@node("LatentSubtract", category="latent/advanced")
def latent_subtract(samples1: Latent, samples2: Latent) -> Latent:
    """Subtract the second latents from the first, whose size they take."""
    return _mixed(samples1, samples2, lambda first, second: first - second)


@node("LatentMultiply", category="latent/advanced")
def latent_multiply(samples: Latent, multiplier: Annotated[float, Field(ge=-10, le=10), Step(0.01)] = 1.0) -> Latent:
    """Multiply latents by a number."""
    return replace(samples, samples=samples.samples * multiplier)


@node("LatentInterpolate", category="latent/advanced")
def latent_interpolate(samples1: Latent, samples2: Latent, ratio: Share = 1.0) -> Latent:
    """Mix latents, keeping their strength: a ratio of 1 is the first alone, 0 the second alone."""
    from nodegraph.diffusion.latents import interpolated

    return _mixed(samples1, samples2, lambda first, second: interpolated(first, second, ratio))


@node("LatentBlend", title="Latent Blend", category="_for_testing")
def latent_blend(samples1: Latent, samples2: Latent, blend_factor: Share = 0.5) -> Latent:
    """Mix latents as they are: a factor of 1 is the first alone, 0 the second alone."""
    return _mixed(samples1, samples2, lambda first, second: second.lerp(first, blend_factor), bicubic=True)


@node("LatentConcat", category="latent/advanced")
def latent_concat(samples1: Latent, samples2: Latent, dim: Literal["x", "-x", "y", "-y", "t", "-t"]) -> Latent:
    """Put latents side by side: to the right (`x`), below (`y`), or, with a minus, the second ones first.

    `t` joins channels, as latents of pictures have no time.
    """
    import torch

    from nodegraph.diffusion.sampling.regions import to_batch

    pair = [samples1.samples, to_batch(samples2.samples, len(samples1.samples))]
    axis = pair[0].ndim + DIMENSIONS[dim[-1]]
    shapes = [tuple(size for place, size in enumerate(part.shape) if place != axis) for part in pair]
    if shapes[0] != shapes[1]:
        told = " and ".join(str(tuple(part.shape)) for part in pair)
        raise ValueError(f"latents of the shapes {told} do not fit along {dim}: expected the same other sides")
    return replace(samples1, samples=torch.cat(pair[::-1] if dim.startswith("-") else pair, axis), noise_mask=None)


@node("LatentCut", category="latent/advanced")
def latent_cut(
    samples: Latent,
    dim: Literal["x", "y", "t"],
    index: Annotated[int, Field(ge=-16384, le=16384)] = 0,
    amount: Annotated[int, Field(ge=1, le=16384)] = 1,
) -> Latent:
    """Cut columns (`x`) or rows (`y`) out of latents, counted in cells; -1 is the last one. `t` cuts channels."""
    from nodegraph.diffusion.latents import cut
    from nodegraph.diffusion.sampling.regions import resized_mask

    axis, mask = DIMENSIONS[dim], samples.noise_mask
    if mask is not None and dim != "t":
        mask = cut(resized_mask(mask, *samples.samples.shape[-2:]), axis, index, amount)
    return replace(samples, samples=cut(samples.samples, axis, index, amount), noise_mask=mask)


@node("LatentBatch", category="latent/batch")
def latent_batch(samples1: Latent, samples2: Latent) -> Latent:
    """Put two batches of latents into one; the second takes the size of the first and, if that has one, its mask."""
    from nodegraph.diffusion.latents import fitted, joined_origins

    second = replace(samples2, samples=fitted(samples2.samples, samples1.samples, batch=False))
    return joined_origins(samples1, second)


@node("RebatchLatents", title="Rebatch Latents", category="latent/batch")
def rebatch_latents(
    latents: Latent | list[Latent], batch_size: Annotated[int, Field(ge=1, le=4096)] = 1
) -> list[Latent]:
    """Put latents into batches of another size: a list, for each of which the nodes that follow run."""
    from nodegraph.diffusion.latents import rebatched

    return rebatched(latents if isinstance(latents, list) else [latents], batch_size)


@node("LatentBatchSeedBehavior", category="latent/advanced")
def latent_batch_seed_behavior(samples: Latent, seed_behavior: Literal["random", "fixed"] = "fixed") -> Latent:
    """Give each latent of a batch noise of its own (`random`), or all of them the same (`fixed`)."""
    if seed_behavior == "random":
        return replace(samples, batch_index=None)
    first = samples.batch_index[0] if samples.batch_index else 0
    return replace(samples, batch_index=(first,) * len(samples.samples))


@node("LatentComposite", title="Latent Composite", category="latent")
def latent_composite(
    samples_to: Latent, samples_from: Latent, x: Offset = 0, y: Offset = 0, feather: Offset = 0
) -> Latent:
    """Lay latents over others, their corner at (x, y) in pixels, fading in over `feather` pixels at inner sides."""
    from nodegraph.diffusion.blending import faded, pasted

    below, above = samples_to.samples, samples_from.samples
    left, top = x // CELL, y // CELL
    above = above[..., : max(0, below.shape[-2] - top), : max(0, below.shape[-1] - left)]
    (height, width), fade = above.shape[-2:], feather // CELL
    mask = faded(
        height,
        width,
        left=fade if left > 0 else 0,
        top=fade if top > 0 else 0,
        right=fade if left + width < below.shape[-1] else 0,
        bottom=fade if top + height < below.shape[-2] else 0,
    )
    return replace(samples_to, samples=pasted(below, above, left, top, mask[None]))


@node("LatentCompositeMasked", title="LatentCompositeMasked", category="latent")
def latent_composite_masked(
    destination: Latent,
    source: Latent,
    x: Offset = 0,
    y: Offset = 0,
    resize_source: bool = False,
    mask: Mask | None = None,
) -> Latent:
    """Lay latents over others, their corner at (x, y) in pixels, where the mask is 1; it takes their size."""
    from nodegraph.diffusion.blending import pasted

    values = None if mask is None else mask.values
    samples = pasted(destination.samples, source.samples, x // CELL, y // CELL, values, stretch=resize_source)
    return replace(destination, samples=samples)


@node("LatentApplyOperation", category="latent/advanced/operations")
def latent_apply_operation(samples: Latent, operation: LatentOperation) -> Latent:
    """Change latents by an operation."""
    return replace(samples, samples=operation.function(samples.samples))


@node("LatentApplyOperationCFG", category="latent/advanced/operations")
def latent_apply_operation_cfg(model: Model, operation: LatentOperation) -> Model:
    """Change by an operation, at each step, what leads away from the negative prompt and towards the positive one."""
    from nodegraph.diffusion.sampling.operations import Operated
    from nodegraph.diffusion.sampling.rules import with_rule

    return with_rule(model, Operated(operation))


@node("LatentOperationTonemapReinhard", category="latent/advanced/operations")
def latent_operation_tonemap_reinhard(
    multiplier: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 1.0,
) -> LatentOperation:
    """Make an operation that tames what is far too strong, as film does with light; smaller numbers tame more."""
    from nodegraph.diffusion.latents import tonemapped

    return LatentOperation(partial(tonemapped, multiplier=multiplier))


@node("LatentOperationSharpen", category="latent/advanced/operations")
def latent_operation_sharpen(
    sharpen_radius: Annotated[int, Field(ge=1, le=31)] = 9,
    sigma: Annotated[float, Field(ge=0.1, le=10), Step(0.1)] = 1.0,
    alpha: Annotated[float, Field(ge=0, le=5), Step(0.01)] = 0.1,
) -> LatentOperation:
    """Make an operation that sharpens latents by what a blur of this radius, in cells, takes away."""
    from nodegraph.diffusion.latents import sharpened

    return LatentOperation(partial(sharpened, radius=sharpen_radius, sigma=sigma, alpha=alpha))


def _mixed(
    first: Latent, second: Latent, mix: "Callable[[Tensor, Tensor], Tensor]", *, bicubic: bool = False
) -> Latent:
    from nodegraph.diffusion.latents import fitted

    other = fitted(second.samples, first.samples, "bicubic" if bicubic else "bilinear")
    return replace(first, samples=mix(first.samples, other))
