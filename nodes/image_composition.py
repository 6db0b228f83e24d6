"""Pictures laid over one another, with masks and alpha."""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Step, Widget, node
from nodegraph.diffusion.values import Image, Mask

Offset = Annotated[int, Field(ge=0, le=16384)]


class Split(NamedTuple):
    """Pictures without alpha, and a mask of where they are transparent."""

    image: Image
    mask: Mask


@node("ImageBlend", category="image/postprocessing")
def image_blend(
    image1: Image,
    image2: Image,
    blend_factor: Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")] = 0.5,
    *,
    blend_mode: Literal["normal", "multiply", "screen", "overlay", "soft_light", "difference"],
) -> Image:
    """Blend the second picture into the first, whose size it takes; a factor of 0 is the first alone."""
    from nodegraph.diffusion.blending import blended
    from nodegraph.diffusion.pixels import same_batch, scaled, with_channels

    height, width = image1.pixels.shape[1:3]
    channels = max(image1.pixels.shape[-1], image2.pixels.shape[-1])
    second = scaled(image2.pixels, width, height, "bicubic", "center")
    below, above = same_batch(with_channels(image1.pixels, channels), with_channels(second, channels))
    origins = image1.origins if len(below) == len(image1.pixels) else ()
    return Image(blended(below, above, blend_mode, blend_factor), origins)


@node("ImageCompositeMasked", title="ImageCompositeMasked", category="image")
def image_composite_masked(
    destination: Image,
    source: Image,
    x: Offset = 0,
    y: Offset = 0,
    resize_source: bool = False,
    mask: Mask | None = None,
) -> Image:
    """Lay a picture over another, its corner at (x, y), where the mask is 1; the mask takes the picture's size."""
    from nodegraph.diffusion.blending import pasted
    from nodegraph.diffusion.pixels import with_channels

    below = destination.pixels.movedim(-1, 1)
    above = with_channels(source.pixels, destination.pixels.shape[-1]).movedim(-1, 1)
    values = None if mask is None else mask.values
    planes = pasted(below, above, x, y, values, stretch=resize_source)
    return replace(destination, pixels=planes.movedim(1, -1).contiguous())


@node("PorterDuffImageComposite", title="Porter-Duff Image Composite", category="mask/compositing")
def porter_duff_image_composite(
    source: Image,
    source_alpha: Mask,
    destination: Image,
    destination_alpha: Mask,
    mode: Literal[
        "ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY", "OVERLAY",
        "SCREEN", "SRC", "SRC_ATOP", "SRC_IN", "SRC_OUT", "SRC_OVER", "XOR",
    ] = "DST",
) -> Split:  # fmt: skip
    """Compose two pictures by one of Porter and Duff's rules; both masks are 1 where a picture is transparent.

    The source and the masks take the destination's size; the shortest batch counts.
    """
    from nodegraph.diffusion.blending import porter_duff
    from nodegraph.diffusion.pixels import scaled, with_channels

    height, width, channels = destination.pixels.shape[1:]
    values = (
        with_channels(source.pixels, channels),
        source_alpha.values[..., None],
        destination_alpha.values[..., None],
    )
    over, hidden, hidden_below = (scaled(pixels, width, height, "bicubic", "center") for pixels in values)
    if over.shape[-1] != channels:
        raise ValueError(f"source: got {over.shape[-1]} channels, expected the destination's {channels}")
    batch = min(len(tensor) for tensor in (over, hidden, destination.pixels, hidden_below))
    below = destination.pixels[:batch]
    pixels, alpha = porter_duff(over[:batch], 1 - hidden[:batch], below, 1 - hidden_below[:batch], mode)
    return Split(Image(pixels, destination.origins[:batch]), Mask(1.0 - alpha[..., 0]))


@node("SplitImageWithAlpha", title="Split Image with Alpha", category="mask/compositing")
def split_image_with_alpha(image: Image) -> Split:
    """Take the alpha off pictures, as a mask that is 1 where they are transparent."""
    import torch

    pixels = image.pixels
    mask = 1.0 - pixels[..., 3] if pixels.shape[-1] == 4 else torch.zeros(pixels.shape[:3])
    return Split(replace(image, pixels=pixels[..., :3].contiguous()), Mask(mask))


@node("JoinImageWithAlpha", title="Join Image with Alpha", category="mask/compositing")
def join_image_with_alpha(image: Image, alpha: Mask) -> Image:
    """Make pictures transparent where a mask is 1; the mask takes their size, the shorter batch counts."""
    import torch

    from nodegraph.diffusion.pixels import with_channels
    from nodegraph.diffusion.sampling.regions import resized_mask

    batch = min(len(image.pixels), len(alpha.values))
    opaque = 1.0 - resized_mask(alpha.values[:batch], *image.pixels.shape[1:3])
    colors = with_channels(image.pixels[:batch], 3)
    return Image(torch.cat([colors, opaque[..., None]], dim=-1), image.origins[:batch])
