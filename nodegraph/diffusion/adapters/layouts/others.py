"""Names that tell adapters for families whose layouts are not known here, so that a refusal can name the family."""

from __future__ import annotations

from nodegraph.diffusion.adapters.naming import Sign

SIGNS = (
    Sign("Stable Cascade", r"^lora_prior_unet_"),
    Sign("FLUX.1", r"double_blocks[._]\d+|single_blocks[._]\d+[._]linear|single_transformer_blocks[._]\d+"),
    Sign("Stable Diffusion 3", r"joint_blocks[._]\d+|transformer_blocks[._]\d+[._]attn[._]add_[qkv]_proj"),
    Sign("PixArt", r"^(?:transformer\.|lora_unet_)?(?:adaln_single|caption_projection)[._]|cross_attn[._]kv_linear"),
)
