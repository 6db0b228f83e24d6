"""Masks: 1 marks what is meant."""

from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Step, Widget, node
from nodegraph.diffusion.values import Image, Mask

Value = Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")]
Pixels = Annotated[int, Field(ge=1, le=16384)]
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
