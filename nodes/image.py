"""Pictures: loaded, saved, resized, turned, cut and joined."""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Context, File, Step, Widget, node
from nodegraph.diffusion.values import Image, Mask

Resampling = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
Crop = Literal["disabled", "center"]
Side = Annotated[int, Field(ge=1, le=16384)]
FreeSide = Annotated[int, Field(ge=0, le=16384)]


class Loaded(NamedTuple):
    """A picture and its mask."""

    image: Image
    mask: Mask


@node("LoadImage", title="Load Image", category="image")
def load_image(context: Context, image: Annotated[str, File("input"), Widget("mask")]) -> Loaded:
    """Load a picture from the input folder; the mask is 1 where the picture is transparent."""
    from nodegraph.diffusion.images import read_image

    pixels, mask = read_image(context.folders.path("input", image))
    return Loaded(Image(pixels), Mask(mask))


@node("LoadImageOutput", title="Load Image (from Outputs)", category="image")
def load_image_output(context: Context, image: Annotated[str, File("output")]) -> Loaded:
    """Load a picture that was saved earlier, from the output folder; the mask is 1 where it is transparent."""
    from nodegraph.diffusion.images import read_image

    pixels, mask = read_image(context.folders.path("output", image))
    return Loaded(Image(pixels), Mask(mask))


@node("ImageScale", title="Upscale Image", category="image/upscaling")
def image_scale(
    image: Image, upscale_method: Resampling, width: FreeSide = 512, height: FreeSide = 512, crop: Crop = "disabled"
) -> Image:
    """Resize pictures; a side of 0 follows from the other."""
    from nodegraph.diffusion.images import free_side

    return _resized(image, *free_side(image.pixels.shape[1:3], width, height), upscale_method, crop)


@node("ImageScaleBy", title="Upscale Image By", category="image/upscaling")
def image_scale_by(
    image: Image,
    upscale_method: Resampling,
    scale_by: Annotated[float, Field(ge=0.01, le=8), Step(0.01)] = 1.0,
) -> Image:
    """Resize pictures by a factor."""
    height, width = (max(1, round(side * scale_by)) for side in image.pixels.shape[1:3])
    return _resized(image, width, height, upscale_method, "disabled")


@node("ImageInvert", title="Invert Image", category="image")
def image_invert(image: Image) -> Image:
    """Turn every colour into its opposite; alpha stays."""
    pixels = image.pixels.clone()
    pixels[..., :3] = 1.0 - pixels[..., :3]
    return replace(image, pixels=pixels)


@node("ImageBatch", title="Batch Images", category="image")
def image_batch(image1: Image, image2: Image) -> Image:
    """Put two batches of pictures into one; the second takes the size of the first."""
    import torch

    from nodegraph.diffusion.pixels import with_channels

    height, width = image1.pixels.shape[1:3]
    second = _resized(image2, width, height, "bilinear", "center")
    channels = max(image1.pixels.shape[-1], image2.pixels.shape[-1])
    pixels = torch.cat([with_channels(image.pixels, channels) for image in (image1, second)])
    known = image1.origins and image2.origins
    return Image(pixels, image1.origins + image2.origins if known else ())


@node("ImageFromBatch", category="image/batch")
def image_from_batch(
    image: Image,
    batch_index: Annotated[int, Field(ge=0, le=4095)] = 0,
    length: Annotated[int, Field(ge=1, le=4096)] = 1,
) -> Image:
    """Take `length` pictures of a batch from `batch_index` on."""
    first = min(batch_index, image.pixels.shape[0] - 1)
    return Image(image.pixels[first : first + length].clone(), image.origins[first : first + length])


@node("RepeatImageBatch", category="image/batch")
def repeat_image_batch(image: Image, amount: Annotated[int, Field(ge=1, le=4096)] = 1) -> Image:
    """Repeat a batch of pictures."""
    return Image(image.pixels.repeat(amount, 1, 1, 1), image.origins * amount)


@node("ImageFlip", category="image/transform")
def image_flip(image: Image, flip_method: Literal["x-axis: vertically", "y-axis: horizontally"]) -> Image:
    """Mirror pictures upside down or left to right."""
    return replace(image, pixels=image.pixels.flip(1 if flip_method.startswith("x") else 2))


@node("ImageCrop", title="Image Crop", category="image/transform")
def image_crop(image: Image, width: Side = 512, height: Side = 512, x: FreeSide = 0, y: FreeSide = 0) -> Image:
    """Cut a rectangle out of pictures; a corner outside is moved in."""
    top, left = min(y, image.pixels.shape[1] - 1), min(x, image.pixels.shape[2] - 1)
    return replace(image, pixels=image.pixels[:, top : top + height, left : left + width].clone())


def _resized(image: Image, width: int, height: int, method: Resampling, crop: Crop) -> Image:
    from nodegraph.diffusion.pixels import scaled

    return replace(image, pixels=scaled(image.pixels, width, height, method, crop))
