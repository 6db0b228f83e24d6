"""Stable Diffusion 1.x: single files with LDM's names and diffusers folders."""

from __future__ import annotations

from nodegraph.diffusion.values import LatentFormat
from nodegraph.diffusion.weights.family import Family, Part, Telltale
from nodegraph.diffusion.weights.layouts import diffusers
from nodegraph.diffusion.weights.shapes import clip_config, unet_config, vae_config

UNET = Part(
    name="unet",
    title="denoising network",
    prefixes=(("model.diffusion_model.", ""),),
    folder="unet",
    from_diffusers=diffusers.unet_names,
    configure=unet_config,
    network="nodegraph.diffusion.models.unet:UNet",
    settings=("heads", "head_dim", "groups"),
)

VAE = Part(
    name="vae",
    title="autoencoder",
    prefixes=(("first_stage_model.", ""), ("vae.", "")),
    folder="vae",
    from_diffusers=diffusers.vae_names,
    configure=vae_config,
    network="nodegraph.diffusion.models.vae:Autoencoder",
    settings=("scale_factor", "shift_factor", "groups", "preview_colors"),
    ignored=("loss.", "model_ema."),
    survives_float16=False,
)

CLIP = Part(
    name="clip",
    title="text encoder",
    # Files older than transformers 4 lack the second half of the first prefix.
    prefixes=(
        ("cond_stage_model.transformer.text_model.", "text_model."),
        ("cond_stage_model.transformer.", "text_model."),
    ),
    folder="text_encoder",
    from_diffusers=diffusers.clip_names,
    configure=clip_config,
    network="nodegraph.diffusion.models.clip:ClipText",
    settings=("heads", "activation", "end_token"),
    # The projection is of no use here: Stable Diffusion 1 takes the tokens, not the pooled text.
    ignored=("text_model.embeddings.position_ids", "text_model.text_projection.", "text_model.logit_scale"),
)

IN_CHANNELS = (4, 9, 8)
"""Of the model itself; of inpainting, which sees a mask and a picture besides; of InstructPix2Pix: a picture."""

# The projections into and out of a transformer are 1x1 convolutions here and linear in SD2 and SDXL.
SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    parts=(UNET, VAE, CLIP),
    has_all=(
        Telltale("unet", "input_blocks.0.0.weight", (None, IN_CHANNELS, 3, 3)),
        Telltale("unet", "out.2.weight", (4, None, 3, 3)),
        Telltale("unet", "middle_block.1.proj_in.weight", (None, None, 1, 1)),
        Telltale("unet", "middle_block.1.transformer_blocks.0.attn2.to_k.weight", (None, None)),
    ),
    has_none=(Telltale("unet", "label_emb.0.0.weight"), Telltale("clip", "text_model.token_emb.weight")),
    # Fitted by keturn: discuss.huggingface.co, "Decoding latents to RGB without upscaling", 2022.
    latent=LatentFormat(
        colors=(
            (0.298, 0.207, 0.208),
            (0.187, 0.286, 0.173),
            (-0.158, 0.189, 0.264),
            (-0.184, -0.271, -0.473),
            (0, 0, 0),
        )
    ),
)
