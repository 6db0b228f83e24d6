"""Pictures made larger by networks."""

from typing import Annotated

from nodegraph import Context, File, node
from nodegraph.diffusion.values import Image, UpscaleModel


@node("UpscaleModelLoader", title="Load Upscale Model", category="loaders", settings=("device",))
def upscale_model_loader(context: Context, model_name: Annotated[str, File("upscale_models")]) -> UpscaleModel:
    """Load an upscaling network from the folder `upscale_models`: ESRGAN, Real-ESRGAN (compact too) or SPAN."""
    from nodegraph.diffusion.upscaling import load_upscaler

    return load_upscaler(
        context.folders.path("upscale_models", model_name),
        device=context.settings.get("device"),
        progress=lambda done, total: context.progress(done, total, "bytes"),
    )


@node("ImageUpscaleWithModel", title="Upscale Image (using Model)", category="image/upscaling")
def image_upscale_with_model(context: Context, upscale_model: UpscaleModel, image: Image) -> Image:
    """Make pictures larger by a network, in tiles; where memory runs out the tiles are made smaller."""
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.upscaling import upscaled

    pixels = upscaled(
        upscale_model,
        image.pixels,
        tell=lambda done, total: context.progress(done, total, "tiles"),
        told=lambda message: context.progress(0, 1, message),
        check=Watch(context),
    )
    return Image(pixels, image.origins)
