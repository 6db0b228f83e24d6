"""Pictures brought to a size, and the sizes they have."""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Step, node
from nodegraph.diffusion.values import Image, Mask

Resampling = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
Side = Annotated[int, Field(ge=1, le=16384)]
Room = Annotated[int, Field(ge=0, le=16384), Step(8)]


class Size(NamedTuple):
    """How large pictures are, and how many there are."""

    width: int
    height: int
    batch_size: int


class Padded(NamedTuple):
    """Pictures with room around them, and a mask of what is to be painted."""

    image: Image
    mask: Mask


@node("GetImageSize", title="Get Image Size", category="image")
def get_image_size(image: Image) -> Size:
    """Give the width and height of pictures and how many there are."""
    batch, height, width, _ = image.pixels.shape
    return Size(width, height, batch)


@node("ImageScaleToTotalPixels", category="image/upscaling")
def image_scale_to_total_pixels(
    image: Image,
    upscale_method: Resampling,
    megapixels: Annotated[float, Field(ge=0.01, le=16), Step(0.01)] = 1.0,
) -> Image:
    """Resize pictures to a number of pixels, in units of 1024 x 1024, keeping their shape."""
    from nodegraph.diffusion.pixels import scaled, size_of_area

    height, width = image.pixels.shape[1:3]
    return replace(image, pixels=scaled(image.pixels, *size_of_area(width, height, megapixels), upscale_method))


@node("ImageScaleToMaxDimension", title="ImageScaleToMaxDimension", category="image/upscaling")
def image_scale_to_max_dimension(
    image: Image,
    upscale_method: Literal["area", "lanczos", "bilinear", "nearest-exact", "bicubic"],
    largest_size: Annotated[int, Field(ge=0, le=16384)] = 512,
) -> Image:
    """Resize pictures so that their longer side has `largest_size` pixels, keeping their shape."""
    from nodegraph.diffusion.pixels import scaled, size_of_longest

    if largest_size == 0:
        raise ValueError("largest_size is 0, expected the pixels of the longer side, from 1 up")
    height, width = image.pixels.shape[1:3]
    return replace(image, pixels=scaled(image.pixels, *size_of_longest(width, height, largest_size), upscale_method))


@node("ResizeAndPadImage", title="ResizeAndPadImage", category="image/transform")
def resize_and_pad_image(
    image: Image,
    target_width: Side = 512,
    target_height: Side = 512,
    *,
    padding_color: Literal["white", "black"],
    interpolation: Literal["area", "bicubic", "nearest-exact", "bilinear", "lanczos"],
) -> Image:
    """Resize pictures to fit into a size, keeping their shape, and fill up around them."""
    from nodegraph.diffusion.pixels import COLORS, padded_to

    color = COLORS[padding_color]
    return replace(image, pixels=padded_to(image.pixels, target_width, target_height, interpolation, color))


@node("ImagePadForOutpaint", title="Pad Image for Outpainting", category="image")
def image_pad_for_outpaint(
    image: Image,
    left: Room = 0,
    top: Room = 0,
    right: Room = 0,
    bottom: Room = 0,
    feathering: Annotated[int, Field(ge=0, le=16384)] = 40,
) -> Padded:
    """Put grey room around pictures, to be painted; the mask marks it and fades into the picture over `feathering`."""
    from nodegraph.diffusion.pixels import outpaint_canvas

    pixels, mask = outpaint_canvas(image.pixels, left, top, right, bottom, feathering)
    return Padded(replace(image, pixels=pixels), Mask(mask))
