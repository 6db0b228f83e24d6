"""Between pictures and latents."""

from nodegraph import Context, node
from nodegraph.diffusion.values import Image, Latent, Vae


@node("VAEDecode", title="VAE Decode", category="latent")
def vae_decode(context: Context, samples: Latent, vae: Vae) -> Image:
    """Turn latents into pictures."""
    from nodegraph.diffusion.autoencoding import decode
    from nodegraph.diffusion.flaws import picture_flaw
    from nodegraph.diffusion.interruption import Watch

    pixels = decode(vae, samples.samples, Watch(context))
    flaw = picture_flaw(pixels, context.check_cancelled)
    if flaw is not None:
        context.warn(flaw)
    return Image(pixels, samples.origins)


@node("VAEEncode", title="VAE Encode", category="latent")
def vae_encode(context: Context, pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into latents; sides are cut at the middle to whole cells (multiples of 8 pixels)."""
    from nodegraph.diffusion.autoencoding import encode
    from nodegraph.diffusion.interruption import Watch

    return Latent(encode(vae, pixels.pixels, Watch(context)))
