"""Names of layers in adapters for Stable Diffusion 1, 2 and XL: LDM's UNet and CLIP's text encoders."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count

from nodegraph.diffusion.adapters.naming import Naming, Sign
from nodegraph.diffusion.weights.layouts.diffusers import UNET_SUFFIXES, unet_modules

LDM_SUFFIXES = {ours: theirs for theirs, ours in UNET_SUFFIXES.items()}

OLD_TEXT = {
    "self_attn.q_proj": "self_attn.to_q",
    "self_attn.k_proj": "self_attn.to_k",
    "self_attn.v_proj": "self_attn.to_v",
    "self_attn.out_proj": "self_attn.to_out",
}
"""What diffusers before 0.17 called the layers of a text encoder's attention."""


def unet_aliases(modules: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield LDM's name and diffusers' of each layer of a UNet, with LDM's."""
    theirs = diffusers_prefixes(modules)
    for module in modules:
        yield module, module
        alias = diffusers_name(module, theirs)
        if alias != module:
            yield alias, module
        for name in (module, alias):
            if name.endswith(".to_out.0"):
                yield name.removesuffix(".0"), module


def diffusers_prefixes(modules: Collection[str]) -> dict[str, str]:
    """Pair the blocks of a UNet, as its layers show it, with diffusers' names for them; none where it is no UNet."""
    total = _blocks(modules)
    downs = [block for block in range(1, total) if f"input_blocks.{block}.0.op" in modules]
    blocks = (downs[0] if downs else total) - 1
    if blocks < 1:
        return {}
    levels = len(downs) + 1
    starts = [1 + level * (blocks + 1) for level in range(levels)]
    attention = [f"input_blocks.{start}.1.proj_in" in modules for start in starts]
    return {ours: theirs for theirs, ours in unet_modules(levels, blocks, attention)}


def diffusers_name(module: str, prefixes: dict[str, str]) -> str:
    """Return diffusers' name of a layer, the name itself where it has none."""
    words = module.split(".")
    for length in range(len(words), 0, -1):
        prefix, rest = ".".join(words[:length]), ".".join(words[length:])
        if prefix in prefixes:
            rest = LDM_SUFFIXES.get(rest, rest)
            return f"{prefixes[prefix]}.{rest}" if rest else prefixes[prefix]
    return module


def text_aliases(modules: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of each layer of a CLIP text encoder, with and without the outermost level."""
    for module in modules:
        names = [module, module.removeprefix("text_model.")]
        for ours, theirs in OLD_TEXT.items():
            if module.endswith(ours):
                names.append(module.removesuffix(ours) + theirs)
        yield from ((name, module) for name in dict.fromkeys(names))


def _blocks(modules: Collection[str]) -> int:
    """Return the number of a UNet's input blocks."""
    starts = {".".join(module.split(".")[:2]) for module in modules}
    return next(block for block in count() if f"input_blocks.{block}" not in starts)


UNET = Naming(
    part="unet",
    underscored=("lora_unet_", "lycoris_", "oft_unet_"),
    dotted=("unet.", "diffusion_model.", "model.diffusion_model.", "unet.unet.", "lora_unet.", ""),
    aliases=unet_aliases,
)

CLIP_L = Naming(
    part="clip_l",
    underscored=("lora_te1_", "lora_te_", "lycoris_te1_", "lycoris_te_", "lycoris_"),
    dotted=(
        "text_encoder.",
        "text_encoders.clip_l.transformer.",
        "clip_l.transformer.",
        "cond_stage_model.transformer.",
        "lora_te1.",
        "lora_te.",
        "",
    ),
    aliases=text_aliases,
)

CLIP = Naming("clip", CLIP_L.underscored, (*CLIP_L.dotted, "text_encoders.clip_h.transformer."), text_aliases)
"""The one text encoder of Stable Diffusion 1 and 2."""

CLIP_G = Naming(
    part="clip_g",
    underscored=("lora_te2_", "lycoris_te2_"),
    dotted=("text_encoder_2.", "text_encoders.clip_g.transformer.", "clip_g.transformer.", "lora_te2."),
    aliases=text_aliases,
)

NAMINGS = (UNET, CLIP, CLIP_L, CLIP_G)

_CROSS = r"attn2[._]to_[kv]\Z"
_TEXT = r"self_attn[._](?:[qkv]_proj|to_[qkv])\Z"

SIGNS = (
    Sign("SDXL", r"^lora_te2[_.]|^text_encoder_2\.|text_encoders\.clip_g"),
    Sign("Stable Diffusion 1.x", _CROSS, (None, 768)),
    Sign("Stable Diffusion 2.x", _CROSS, (None, 1024)),
    Sign("SDXL", _CROSS, (None, 2048)),
    Sign("the SDXL refiner", _CROSS, (None, 1280)),
    Sign("Stable Diffusion 2.x", _TEXT, (1024, 1024)),
    Sign("Stable Diffusion 1.x", _TEXT, (768, 768)),
)
"""What tells for which of these families an adapter was trained; the first that any layer shows counts."""
