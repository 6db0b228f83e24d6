"""Masks: 1 marks what is meant."""

from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Context, File, Step, Widget, node
from nodegraph.diffusion.values import Image, Mask

from . import saving

Value = Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")]
Pixels = Annotated[int, Field(ge=1, le=16384)]
Offset = Annotated[int, Field(ge=0, le=16384)]
CHANNELS = {"red": 0, "green": 1, "blue": 2, "alpha": 3}


@node("SolidMask", category="mask")
def solid_mask(value: Value = 1.0, width: Pixels = 512, height: Pixels = 512) -> Mask:
    """Make a mask of one value everywhere."""
    import torch

    return Mask(torch.full((1, height, width), value))


@node("InvertMask", category="mask")
def invert_mask(mask: Mask) -> Mask:
    """Mark what was not marked."""
    return Mask(1.0 - mask.values)


@node("ImageToMask", title="Convert Image to Mask", category="mask")
def image_to_mask(image: Image, channel: Literal["red", "green", "blue", "alpha"]) -> Mask:
    """Take a channel of a picture as a mask; the alpha of a picture without alpha is 1."""
    import torch

    pixels, index = image.pixels, CHANNELS[channel]
    if index == 3:
        return Mask(pixels[..., 3] if pixels.shape[-1] == 4 else torch.ones(pixels.shape[:-1]))
    return Mask(pixels[..., 0 if pixels.shape[-1] == 1 else index])


@node("MaskToImage", title="Convert Mask to Image", category="mask")
def mask_to_image(mask: Mask) -> Image:
    """Show a mask as a grey picture."""
    return Image(mask.values[..., None].expand(-1, -1, -1, 3).contiguous())


@node("LoadImageMask", title="Load Image (as Mask)", category="mask")
def load_image_mask(
    context: Context,
    image: Annotated[str, File("input"), Widget("mask")],
    channel: Literal["alpha", "red", "green", "blue"],
) -> Mask:
    """Load a channel of a picture as a mask; `alpha` gives 1 where the picture is transparent."""
    from nodegraph.diffusion.images import read_image

    pixels, mask = read_image(context.folders.path("input", image))
    return Mask(mask if channel == "alpha" else pixels[..., CHANNELS[channel]].contiguous())


@node("ImageColorToMask", title="ImageColorToMask", category="mask")
def image_color_to_mask(image: Image, color: Annotated[int, Field(ge=0, le=0xFFFFFF), Widget("color")] = 0) -> Mask:
    """Mark where pictures have one colour, a number whose hexadecimal digits are RRGGBB."""
    from nodegraph.diffusion.masks import of_color

    return Mask(of_color(image.pixels, color))


@node("CropMask", title="CropMask", category="mask")
def crop_mask(mask: Mask, x: Offset = 0, y: Offset = 0, width: Pixels = 512, height: Pixels = 512) -> Mask:
    """Cut a rectangle out of masks."""
    from nodegraph.diffusion.masks import cropped

    return Mask(cropped(mask.values, x, y, width, height))


@node("MaskComposite", title="MaskComposite", category="mask")
def mask_composite(
    destination: Mask,
    source: Mask,
    x: Offset = 0,
    y: Offset = 0,
    *,
    operation: Literal["multiply", "add", "subtract", "and", "or", "xor"],
) -> Mask:
    """Combine a mask with what lies below it in another, its corner at (x, y)."""
    from nodegraph.diffusion.masks import composed

    return Mask(composed(destination.values, source.values, x, y, operation))


@node("FeatherMask", title="FeatherMask", category="mask")
def feather_mask(mask: Mask, left: Offset = 0, top: Offset = 0, right: Offset = 0, bottom: Offset = 0) -> Mask:
    """Let masks fade towards their sides, over so many pixels each."""
    from nodegraph.diffusion.blending import faded

    height, width = mask.values.shape[1:]
    return Mask(mask.values * faded(height, width, left=left, top=top, right=right, bottom=bottom))


@node("GrowMask", title="GrowMask", category="mask")
def grow_mask(
    context: Context,
    mask: Mask,
    expand: Annotated[int, Field(ge=-16384, le=16384)] = 0,
    tapered_corners: bool = True,
) -> Mask:
    """Let masks grow by so many pixels, or shrink; corners are cut off (`tapered_corners`) or square."""
    from nodegraph.diffusion.masks import grown

    return Mask(grown(mask.values, expand, diamond=tapered_corners, check=context.check_cancelled))


@node("ThresholdMask", title="ThresholdMask", category="mask")
def threshold_mask(mask: Mask, value: Value = 0.5) -> Mask:
    """Mark wholly what is marked by more than `value`, and the rest not at all."""
    return Mask((mask.values > value).float())


@node("MaskPreview", title="MaskPreview", category="mask", output=True)
def mask_preview(context: Context, mask: Mask) -> None:
    """Show masks as grey pictures without keeping them: the files go to the temporary folder."""
    saving.preview_image(context, mask_to_image(mask))
