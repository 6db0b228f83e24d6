"""Pictures in a row written as one moving picture."""

from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nodegraph import Context, Step, node
from nodegraph.diffusion.filenames import NewFiles, file_prefix
from nodegraph.diffusion.values import Image

from . import saving

Prefix = Annotated[str, AfterValidator(file_prefix)]
Rate = Annotated[float, Field(ge=0.01, le=1000), Step(0.01)]


@node("SaveAnimatedWEBP", title="SaveAnimatedWEBP", category="image/animation", output=True)
def save_animated_webp(
    context: Context,
    images: Image,
    filename_prefix: Prefix = "ComfyUI",
    fps: Rate = 6.0,
    lossless: bool = True,
    quality: Annotated[int, Field(ge=0, le=100)] = 80,
    *,
    method: Literal["default", "fastest", "slowest"],
) -> None:
    """Save pictures as one moving WEBP in the output folder; slower methods make smaller files."""
    from nodegraph.diffusion.animation import write_webp

    names = _names(context, images, filename_prefix, ".webp")
    write = partial(
        write_webp,
        frames=images.pixels,
        fps=fps,
        lossless=lossless,
        quality=quality,
        method=method,
        text=saving.chunks(context, images.origins),
    )
    context.output(names.write(0, write), images)


@node("SaveAnimatedPNG", title="SaveAnimatedPNG", category="image/animation", output=True)
def save_animated_png(
    context: Context,
    images: Image,
    filename_prefix: Prefix = "ComfyUI",
    fps: Rate = 6.0,
    compress_level: Annotated[int, Field(ge=0, le=9)] = 4,
) -> None:
    """Save pictures as one moving PNG in the output folder."""
    from nodegraph.diffusion.animation import write_apng

    names = _names(context, images, filename_prefix, ".png")
    text = saving.chunks(context, images.origins)
    write = partial(write_apng, frames=images.pixels, fps=fps, compress_level=compress_level, text=text)
    context.output(names.write(0, write), images)


def _names(context: Context, images: Image, prefix: str, suffix: str) -> NewFiles:
    height, width = images.pixels.shape[1:3]
    return NewFiles(context.folders.roots("output")[0], prefix, suffix, width=width, height=height)
