"""Pictures blurred, sharpened, reduced to a few colours, to edges, to shapes."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Context, Step, Widget, node
from nodegraph.diffusion.values import Image

if TYPE_CHECKING:
    from torch import Tensor

Radius = Annotated[int, Field(ge=1, le=31)]
Threshold = Annotated[float, Field(ge=0.01, le=0.99), Step(0.01), Widget("slider")]


class Yuv(NamedTuple):
    """Brightness and two differences of colour, as grey pictures."""

    Y: Image
    U: Image
    V: Image


@node("ImageBlur", category="image/postprocessing")
def image_blur(
    context: Context,
    image: Image,
    blur_radius: Radius = 1,
    sigma: Annotated[float, Field(ge=0.1, le=10), Step(0.1)] = 1.0,
) -> Image:
    """Blur pictures; `sigma` is told in radii: 0.5 fades out within `blur_radius`, 10 weighs all of it alike."""
    from nodegraph.diffusion.filters import blur

    return _filtered(context, image, lambda planes: blur(planes, blur_radius, sigma))


@node("ImageSharpen", category="image/postprocessing")
def image_sharpen(
    context: Context,
    image: Image,
    sharpen_radius: Radius = 1,
    sigma: Annotated[float, Field(ge=0.1, le=10), Step(0.01)] = 1.0,
    alpha: Annotated[float, Field(ge=0, le=5), Step(0.01)] = 1.0,
) -> Image:
    """Sharpen pictures by what a blur of this radius takes away; `alpha` is how strongly, 0 changes nothing."""
    from nodegraph.diffusion.filters import sharpen

    return _filtered(context, image, lambda planes: sharpen(planes, sharpen_radius, sigma, alpha))


@node("ImageQuantize", category="image/postprocessing")
def image_quantize(
    context: Context,
    image: Image,
    colors: Annotated[int, Field(ge=1, le=256)] = 256,
    *,
    dither: Literal["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"],
) -> Image:
    """Reduce each picture to a few colours of its own; dithering mixes them in dots where a colour is missing."""
    import torch

    from nodegraph.diffusion.palette import quantized

    pixels = torch.empty(*image.pixels.shape[:3], 3)
    for index, picture in enumerate(image.pixels):
        context.progress(index, len(pixels))
        pixels[index] = quantized(picture, colors, dither)
    return replace(image, pixels=pixels)


@node("Morphology", title="ImageMorphology", category="image/postprocessing")
def morphology(
    context: Context,
    image: Image,
    operation: Literal["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"],
    kernel_size: Annotated[int, Field(ge=3, le=999)] = 3,
) -> Image:
    """Let the bright parts of pictures shrink (`erode`) or grow (`dilate`) within a square, or what follows from both.

    `open` takes small bright spots away and `close` small dark ones; `top_hat` and `bottom_hat` give just these spots,
    and `gradient` the outlines.
    """
    from nodegraph.diffusion.filters import morphology

    return _filtered(context, image, lambda planes: morphology(planes, operation, kernel_size))


@node("Canny", category="image/preprocessors")
def canny(context: Context, image: Image, low_threshold: Threshold = 0.4, high_threshold: Threshold = 0.8) -> Image:
    """Draw the edges of pictures in white on black.

    What is steeper than `high_threshold` is an edge, and so is what is steeper than `low_threshold` and joined to one.
    """
    from nodegraph.diffusion.edges import canny

    def drawn(planes: "Tensor") -> "Tensor":
        edges = canny(planes[:, :3], low_threshold, high_threshold, context.check_cancelled)
        return edges.expand(-1, 3, -1, -1)

    return _filtered(context, image, drawn)


@node("ImageAddNoise", title="ImageAddNoise", category="image")
def image_add_noise(
    image: Image,
    seed: Annotated[int, Field(ge=0, le=2**64 - 1), Widget("seed")] = 0,
    strength: Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")] = 0.5,
) -> Image:
    """Add random grain to pictures."""
    from nodegraph.diffusion.filters import noisy

    return replace(image, pixels=noisy(image.pixels, seed, strength))


@node("ImageRGBToYUV", category="image/batch")
def image_rgb_to_yuv(image: Image) -> Yuv:
    """Take pictures apart into brightness and two differences of colour, each as a grey picture."""
    from nodegraph.diffusion.filters import to_yuv
    from nodegraph.diffusion.pixels import with_channels

    planes = to_yuv(with_channels(image.pixels, 3).movedim(-1, 1)).clamp(0.0, 1.0)
    grey = [plane[..., None].expand(-1, -1, -1, 3).contiguous() for plane in planes.unbind(1)]
    return Yuv(*(replace(image, pixels=pixels) for pixels in grey))


@node("ImageYUVToRGB", category="image/batch")
def image_yuv_to_rgb(Y: Image, U: Image, V: Image) -> Image:  # noqa: N803 - the names of the inputs
    """Put pictures together from brightness and two differences of colour."""
    import torch

    from nodegraph.diffusion.filters import from_yuv
    from nodegraph.diffusion.pixels import same_batch

    sizes = {tuple(part.pixels.shape[1:3]) for part in (Y, U, V)}
    if len(sizes) > 1:
        raise ValueError(f"Y, U and V have the sizes {sorted(sizes)} (height, width), expected one size")
    planes = same_batch(*(part.pixels.mean(-1) for part in (Y, U, V)))
    return replace(Y, pixels=from_yuv(torch.stack(planes, 1)).movedim(1, -1).contiguous(), origins=())


def _filtered(context: Context, image: Image, change: "Callable[[Tensor], Tensor]") -> Image:
    """Change pictures one by one, which takes less memory than all at once, and can be stopped between them."""
    import torch

    changed = []
    for index in range(len(image.pixels)):
        context.progress(index, len(image.pixels))
        planes = change(image.pixels[index : index + 1].movedim(-1, 1))
        changed.append(planes.movedim(1, -1).clamp(0.0, 1.0))
    return replace(image, pixels=torch.cat(changed) if changed else image.pixels)
