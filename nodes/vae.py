"""Between pictures and latents."""

from nodegraph import node
from nodegraph.diffusion.values import Image, Latent, Vae


@node("VAEDecode", title="VAE Decode", category="latent")
def vae_decode(samples: Latent, vae: Vae) -> Image:
    """Turn latents into pictures."""
    from nodegraph.diffusion.autoencoding import decode

    return Image(decode(vae, samples.samples), samples.origins)


@node("VAEEncode", title="VAE Encode", category="latent")
def vae_encode(pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into latents; sides are cut at the middle to whole cells (multiples of 8 pixels)."""
    from nodegraph.diffusion.autoencoding import encode

    return Latent(encode(vae, pixels.pixels))
