"""Pictures made plain, turned, put side by side and into batches."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Step, Widget, node
from nodegraph.diffusion.values import Image

Side = Annotated[int, Field(ge=1, le=16384)]
Batch = Annotated[int, Field(ge=1, le=4096)]
Color = Annotated[int, Field(ge=0, le=0xFFFFFF), Widget("color")]
TURNS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}


@node("EmptyImage", title="EmptyImage", category="image")
def empty_image(width: Side = 512, height: Side = 512, batch_size: Batch = 1, color: Color = 0) -> Image:
    """Make pictures of one colour, a number whose hexadecimal digits are RRGGBB."""
    from nodegraph.diffusion.pixels import filled, of_rgb

    return Image(filled(batch_size, height, width, 3, of_rgb(color)))


@node("ImageRotate", title="ImageRotate", category="image/transform")
def image_rotate(image: Image, rotation: Literal["none", "90 degrees", "180 degrees", "270 degrees"]) -> Image:
    """Turn pictures clockwise."""
    return replace(image, pixels=image.pixels.rot90(TURNS[rotation], (2, 1)))


@node("ImageStitch", title="Image Stitch", category="image/transform")
def image_stitch(
    image1: Image,
    direction: Literal["right", "down", "left", "up"] = "right",
    match_image_size: bool = True,
    spacing_width: Annotated[int, Field(ge=0, le=1024), Step(2)] = 0,
    spacing_color: Literal["white", "black", "red", "green", "blue"] = "white",
    image2: Image | None = None,
) -> Image:
    """Put the second picture beside the first; `direction` tells where it goes.

    With `match_image_size` it takes the first one's height, or width; else the smaller one is filled up with
    `spacing_color`. A shorter batch repeats its last picture.
    """
    from nodegraph.diffusion.pixels import COLORS, stitched

    if image2 is None:
        return image1
    color = COLORS[spacing_color]
    return Image(
        stitched(image1.pixels, image2.pixels, direction, match=match_image_size, spacing=spacing_width, color=color)
    )


@node("RebatchImages", title="Rebatch Images", category="image/batch")
def rebatch_images(images: Image | list[Image], batch_size: Batch = 1) -> list[Image]:
    """Put pictures into batches of another size: a list, for each of which the nodes that follow run."""
    import torch

    given = images if isinstance(images, list) else [images]
    shapes = list(dict.fromkeys(tuple(image.pixels.shape[1:]) for image in given))
    if len(shapes) > 1 and batch_size > 1:
        told = " and ".join(f"{width} x {height} in {channels} channels" for height, width, channels in shapes[:2])
        raise ValueError(f"images: got pictures of {told}, expected one size for batches of {batch_size}")
    singles = [pixels for image in given for pixels in image.pixels.split(1)]
    known = all(image.origins for image in given)
    origins = tuple(origin for image in given for origin in image.origins) if known else ()
    return [
        Image(torch.cat(singles[start : start + batch_size]), origins[start : start + batch_size])
        for start in range(0, len(singles), batch_size)
    ]
