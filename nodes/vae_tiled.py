"""Between pictures and latents in tiles, for what is too large to do at once."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from nodegraph import Context, Step, node
from nodegraph.diffusion.values import Image, Latent, Vae

Overlap = Annotated[int, Field(ge=0, le=4096), Step(32)]
Frames = Annotated[int, Field(ge=8, le=4096), Step(4)]
FrameOverlap = Annotated[int, Field(ge=4, le=4096), Step(4)]


@node("VAEDecodeTiled", title="VAE Decode (Tiled)", category="_for_testing")
def vae_decode_tiled(
    context: Context,
    samples: Latent,
    vae: Vae,
    tile_size: Annotated[int, Field(ge=64, le=4096), Step(32)] = 512,
    overlap: Overlap = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FrameOverlap = 8,
) -> Image:
    """Turn latents into pictures tile by tile: it takes less memory, and colours may differ a little between tiles.

    Sizes are in pixels. The temporal ones are for video and change nothing in pictures.
    """
    from nodegraph.diffusion.flaws import picture_flaw
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.tiled_autoencoding import decode_tiled

    told, check = _told(context), Watch(context)
    pixels = decode_tiled(vae, samples.samples, tile_size, overlap, tell=told, check=check)
    flaw = picture_flaw(pixels, context.check_cancelled)
    if flaw is not None:
        context.warn(flaw)
    return Image(pixels, samples.origins)


@node("VAEEncodeTiled", title="VAE Encode (Tiled)", category="_for_testing")
def vae_encode_tiled(
    context: Context,
    pixels: Image,
    vae: Vae,
    tile_size: Annotated[int, Field(ge=64, le=4096), Step(64)] = 512,
    overlap: Overlap = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FrameOverlap = 8,
) -> Latent:
    """Turn pictures into latents tile by tile, for which it takes less memory.

    Sizes are in pixels. The temporal ones are for video and change nothing in pictures.
    """
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.tiled_autoencoding import encode_tiled

    told, check = _told(context), Watch(context)
    return Latent(encode_tiled(vae, pixels.pixels, tile_size, overlap, tell=told, check=check))


def _told(context: Context) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, "tiles")
