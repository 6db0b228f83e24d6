"""Between pictures and latents."""

from nodegraph import Context, node
from nodegraph.diffusion.values import Image, Latent, Vae


@node("VAEDecode", title="VAE Decode", category="latent")
def vae_decode(context: Context, samples: Latent, vae: Vae) -> Image:
    """Turn latents into pictures; where memory runs out, in tiles."""
    from nodegraph.diffusion.flaws import picture_flaw
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.tiled_autoencoding import decode_within_memory

    watch = Watch(context)
    pixels = decode_within_memory(vae, samples.samples, watch, watch.said)
    flaw = picture_flaw(pixels, context.check_cancelled)
    if flaw is not None:
        context.warn(flaw)
    return Image(pixels, samples.origins)


@node("VAEEncode", title="VAE Encode", category="latent")
def vae_encode(context: Context, pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into latents; sides are cut at the middle to whole cells (multiples of 8 pixels).

    Where memory runs out it is done in tiles.
    """
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.tiled_autoencoding import encode_within_memory

    watch = Watch(context)
    return Latent(encode_within_memory(vae, pixels.pixels, watch, watch.said))
