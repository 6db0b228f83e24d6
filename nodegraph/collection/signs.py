"""What tells files of weights apart: names of tensors and their shapes, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nodegraph.diffusion.weights.family import Pattern, Tensors, fits

SD1, SD2, SDXL, REFINER = "Stable Diffusion 1.x", "Stable Diffusion 2.x", "SDXL", "SDXL refiner"
SD3, FLUX = "Stable Diffusion 3", "FLUX.1"
BY_CONTEXT: Final = {768: SD1, 1024: SD2, 1280: REFINER, 2048: SDXL, 4096: SD3}
"""What a network's attention to a prompt is wide in each family."""
NETWORK: Final = ("model.diffusion_model.", "diffusion_model.", "")
AUTOENCODER: Final = ("first_stage_model.", "vae.", "")
TEXT: Final = (
    *("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", "text_encoder."),
    *("text_encoders.clip_l.transformer.", "text_encoders.clip_g.transformer.", "clip_l.transformer."),
    *("clip_g.transformer.", "text_encoders.t5xxl.transformer.", "transformer.", ""),
)
CONTROL: Final = ("control_model.", "")


@dataclass(frozen=True)
class Sign:
    """What tells a file: it has all tensors of `keys`, after one of `prefixes`, with these shapes (None: any).

    `kind` is the folder in which such files belong, `what` what they are, `family` the title of theirs where the sign
    tells it; `by_width` tells it from a size, that of the first key's last dimension.
    """

    kind: str
    what: str
    keys: Mapping[str, Pattern | None]
    family: str | None = None
    prefixes: tuple[str, ...] = ("",)
    by_width: Mapping[int, str] = field(default_factory=dict)

    def fits(self, tensors: Tensors) -> str | None:
        """Return the prefix after which all keys are there, None if there is none."""
        for prefix in self.prefixes:
            if all(_has(tensors, prefix + key, shape) for key, shape in self.keys.items()):
                return prefix
        return None

    def family_of(self, tensors: Tensors, prefix: str) -> str | None:
        """Return the family that a file of this sign is of."""
        if self.by_width:
            shape = tensors[prefix + next(iter(self.keys))].shape
            return self.by_width.get(shape[-1]) if shape else None
        return self.family


def _has(tensors: Tensors, key: str, shape: Pattern | None) -> bool:
    info = tensors.get(key)
    return info is not None and (shape is None or fits(info.shape, shape))


ENCODERS: Final = {768: "CLIP-L", 1024: "OpenCLIP-H", 1280: "OpenCLIP-bigG"}
VISION: Final = {1024: "CLIP-L", 1280: "OpenCLIP-H", 1664: "OpenCLIP-bigG"}
T5: Final = {4096: "T5-XXL", 2048: "T5-XL", 1024: "T5-large", 768: "T5-base", 512: "T5-small"}
_NET = "denoising network"

SIGNS: Final = (
    Sign("controlnet", "Control-LoRA", {"lora_controlnet": None}),
    Sign("controlnet", "ControlNet", {"zero_convs.0.0.weight": None}, prefixes=CONTROL),
    Sign("controlnet", "ControlNet", {"controlnet_cond_embedding.conv_in.weight": None}),
    Sign("controlnet", "ControlNet", {"controlnet_blocks.0.weight": None}),
    Sign("controlnet", "T2I-Adapter", {"body.0.in_conv.weight": None}, prefixes=("", "adapter.")),
    Sign("controlnet", "T2I-Adapter", {"body.0.block1.weight": None, "conv_in.weight": None}),
    Sign("controlnet", "T2I-Adapter", {"body.0.resnets.0.block1.weight": None}, prefixes=("adapter.", "")),
    Sign("ipadapter", "IP-Adapter", {"ip_adapter.1.to_k_ip.weight": None}, by_width=BY_CONTEXT),
    Sign("gligen", "GLIGEN", {"position_net.linears.0.weight": None}),
    Sign("style_models", "style model", {"style_embedding": None}),
    Sign("style_models", "style model", {"redux_down.weight": None}, FLUX),
    Sign(
        *("diffusion_models", _NET, {"joint_blocks.0.context_block.attn.qkv.weight": None}, SD3),
        prefixes=NETWORK,
    ),
    Sign("diffusion_models", _NET, {"distilled_guidance_layer.norms.0.scale": None}, "Chroma", NETWORK),
    Sign("diffusion_models", _NET, {"single_stream_modulation.lin.weight": None}, "FLUX.2", NETWORK),
    Sign("diffusion_models", _NET, {"double_blocks.0.img_attn.norm.key_norm.scale": None}, FLUX, NETWORK),
    Sign("diffusion_models", _NET, {"double_blocks.0.img_attn.qkv.weight": None}, FLUX, NETWORK),
    Sign("diffusion_models", _NET, {"t_block.1.weight": None}, "PixArt", NETWORK),
    Sign("diffusion_models", _NET, {"adaln_single.emb.timestep_embedder.linear_1.bias": None}, "PixArt"),
    Sign(
        *("diffusion_models", _NET, {"y_embedder.embedding_table.weight": None, "x_embedder.proj.weight": None}),
        *("DiT", NETWORK),
    ),
    Sign("diffusion_models", _NET, {"in_blocks.0.attn.qkv.weight": None, "decoder_pred.weight": None}, "U-ViT"),
    Sign("diffusion_models", _NET, {"encoder_pooling.1.positional_embedding": None}, "DeepFloyd IF"),
    Sign("diffusion_models", "prior network", {"model.prd_emb": None}, "unCLIP"),
    Sign("diffusion_models", _NET, {"clip_to_seq.weight": None}, "Kandinsky 2.1"),
    Sign("diffusion_models", _NET, {"transformer_blocks.0.attn.add_q_proj.weight": None}, "SD3 or FLUX.1"),
    Sign("clip_vision", "image encoder", {"vision_model.embeddings.class_embedding": None}, by_width=VISION),
    Sign("clip_vision", "image encoder", {"visual.class_embedding": None}, by_width=VISION),
    Sign(
        *("text_encoders", "text encoder", {"text_model.embeddings.token_embedding.weight": None}),
        prefixes=TEXT,
        by_width=ENCODERS,
    ),
    Sign(
        *("text_encoders", "text encoder"),
        {"token_embedding.weight": None, "transformer.resblocks.0.ln_1.weight": None},
        prefixes=("cond_stage_model.model.", "conditioner.embedders.1.model.", "conditioner.embedders.0.model.", ""),
        by_width=ENCODERS,
    ),
    Sign(
        *("text_encoders", "text encoder", {"encoder.block.0.layer.0.layer_norm.weight": None}),
        prefixes=TEXT,
        by_width=T5,
    ),
    Sign("text_encoders", "text encoder", {"embeddings.token_embedding.weight": None}, by_width=ENCODERS),
)
"""What files are told by, apart from checkpoints, UNets, autoencoders, adapters and embeddings; the first counts."""

VARIANTS: Final = {9: "for inpainting", 8: "InstructPix2Pix", 5: "with depth", 7: "for upscaling"}
"""What UNets of further input channels than latents have are for."""
LDM_UNET: Final = "input_blocks.0.0.weight"
DIFFUSERS_UNET: Final = ("conv_in.weight", "down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.weight")
TO_KEYS: Final = re.compile(r"attn2\.to_k\.weight\Z")
DECODERS: Final = ("decoder.mid.block_1.conv1.weight", "decoder.mid_block.resnets.0.conv1.weight")
LATENTS: Final = {4: "Stable Diffusion 1, 2 or XL", 16: "Stable Diffusion 3 or FLUX.1"}
ADAPTERS: Final = ("lora", "hada_w", "lokr_w", "oft_blocks", "oft_diag", ".diff", ".on_input", "w_norm", ".a1.weight")
"""Parts of names without which a file holds no adapter."""
PIPELINES: Final = {
    "StableDiffusionXL": SDXL,
    "StableDiffusion3": SD3,
    "StableDiffusion": "Stable Diffusion 1 or 2",
    "Flux": FLUX,
    "PixArt": "PixArt",
    "DiT": "DiT",
    "Kandinsky": "Kandinsky",
    "IF": "DeepFloyd IF",
}
"""How the class that a `model_index.json` names starts -> the family; the first counts."""
