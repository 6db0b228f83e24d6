"""Parts of pictures painted anew, and pictures changed by instruction."""

from typing import Annotated, NamedTuple

from pydantic import Field

from nodegraph import Context, node
from nodegraph.diffusion.values import Conditioning, Image, Latent, Mask, Vae


class Shown(NamedTuple):
    """Prompts that show the model a picture, and the latents to begin with."""

    positive: Conditioning
    negative: Conditioning
    latent: Latent


@node("VAEEncodeForInpaint", title="VAE Encode (for Inpainting)", category="latent/inpaint")
def vae_encode_for_inpaint(
    context: Context, pixels: Image, vae: Vae, mask: Mask, grow_mask_by: Annotated[int, Field(ge=0, le=64)] = 6
) -> Latent:
    """Turn pictures into latents whose masked part is to be painted anew, from nothing: use it with `denoise` at 1.

    The mask is grown by some pixels, so that the new part joins the old one without a seam.
    """
    from nodegraph.diffusion.inpainting import encoded_for_inpainting
    from nodegraph.diffusion.interruption import Watch

    return Latent(*encoded_for_inpainting(vae, pixels.pixels, mask.values, grow_mask_by, Watch(context)))


@node("InpaintModelConditioning", title="InpaintModelConditioning", category="conditioning/inpaint")
def inpaint_model_conditioning(
    context: Context,
    positive: Conditioning,
    negative: Conditioning,
    vae: Vae,
    pixels: Image,
    mask: Mask,
    noise_mask: bool = True,
) -> Shown:
    """Show an inpainting model the picture without its masked part, and the mask; other models pass over both.

    With `noise_mask` only the masked part is sampled, and the rest of the picture stays as it is.
    """
    from nodegraph.diffusion.autoencoding import encode
    from nodegraph.diffusion.inpainting import masked, shown
    from nodegraph.diffusion.interruption import Watch

    parts = masked(vae, pixels.pixels, mask.values)
    hidden, whole = (encode(vae, part, Watch(context)) for part in (parts.hidden, parts.pixels))
    latent = Latent(whole, parts.mask if noise_mask else None)
    return Shown(shown(positive, hidden, parts.mask), shown(negative, hidden, parts.mask), latent)


@node("InstructPixToPixConditioning", category="conditioning/instructpix2pix")
def instruct_pix_to_pix_conditioning(
    context: Context, positive: Conditioning, negative: Conditioning, vae: Vae, pixels: Image
) -> Shown:
    """Show an InstructPix2Pix model the picture that the prompt tells it to change; other models pass over it."""
    import torch

    from nodegraph.diffusion.autoencoding import encode
    from nodegraph.diffusion.inpainting import shown
    from nodegraph.diffusion.interruption import Watch

    picture = encode(vae, pixels.pixels, Watch(context))
    return Shown(shown(positive, picture), shown(negative, picture), Latent(torch.zeros_like(picture)))
