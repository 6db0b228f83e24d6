"""Names of diffusers' folders turned into ours: module prefixes by walking the constructors' loops, then suffixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from nodegraph.diffusion.weights.family import Tensors

UNET_SUFFIXES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}

VAE_SUFFIXES = {
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    # before diffusers 0.12
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}

TEXT_FOLDERS = {"clip": "text_encoder", "clip_l": "text_encoder", "clip_g": "text_encoder_2"}
"""The folders of text encoders by the parts that they are read as."""


def unet_names(tensors: Tensors) -> Tensors:
    """Give the tensors of a `UNet2DConditionModel` LDM's names."""
    levels = _count(tensors, "down_blocks.{}.")
    blocks = _count(tensors, "down_blocks.0.resnets.{}.")
    attention = [_holds(tensors, f"down_blocks.{level}.attentions.") for level in range(levels)]
    return renamed(tensors, dict(unet_modules(levels, blocks, attention)), UNET_SUFFIXES)


def unet_modules(levels: int, blocks: int, attention: list[bool]) -> Iterator[tuple[str, str]]:
    """Pair the blocks of a `UNet2DConditionModel` with LDM's; `blocks` a level, `attention` in which levels."""
    yield from (("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"))
    yield from (("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"))
    yield from (("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"))
    yield "mid_block.resnets.1", "middle_block.2"
    number = count(1)
    for level in range(levels):
        for index in range(blocks):
            yield from _block(f"down_blocks.{level}", index, f"input_blocks.{next(number)}")
        yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{next(number)}.0.op"
    number = count()
    for level in range(levels):
        for index in range(blocks + 1):
            block = f"output_blocks.{next(number)}"
            yield from _block(f"up_blocks.{level}", index, block)
        place = 2 if attention[levels - 1 - level] else 1
        yield f"up_blocks.{level}.upsamplers.0.conv", f"{block}.{place}.conv"


def _block(level: str, index: int, block: str) -> Iterator[tuple[str, str]]:
    yield f"{level}.resnets.{index}", f"{block}.0"
    yield f"{level}.attentions.{index}", f"{block}.1"


def vae_names(tensors: Tensors) -> Tensors:
    """Give the tensors of an `AutoencoderKL` LDM's names."""
    levels = _count(tensors, "encoder.down_blocks.{}.")
    blocks = _count(tensors, "encoder.down_blocks.0.resnets.{}.")
    return renamed(tensors, dict(_vae_modules(levels, blocks)), VAE_SUFFIXES)


def _vae_modules(levels: int, blocks: int) -> Iterator[tuple[str, str]]:
    for half in ("encoder", "decoder"):
        yield f"{half}.conv_norm_out", f"{half}.norm_out"
        for index in range(2):
            yield f"{half}.mid_block.resnets.{index}", f"{half}.mid.block_{index + 1}"
        yield f"{half}.mid_block.attentions.0", f"{half}.mid.attn_1"
    for level in range(levels):
        down, up = f"encoder.down_blocks.{level}", f"decoder.up_blocks.{levels - 1 - level}"
        for index in range(blocks):
            yield f"{down}.resnets.{index}", f"encoder.down.{level}.block.{index}"
        for index in range(blocks + 1):
            yield f"{up}.resnets.{index}", f"decoder.up.{level}.block.{index}"
        yield f"{down}.downsamplers.0.conv", f"encoder.down.{level}.downsample.conv"
        yield f"{up}.upsamplers.0.conv", f"decoder.up.{level}.upsample.conv"


def clip_names(tensors: Tensors) -> Tensors:
    """Give the tensors of a `CLIPTextModel` the prefix that transformers 5 leaves out."""
    start = "text_model."
    return {name if name.startswith(start) else start + name: info for name, info in tensors.items()}


def hints(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Say what shapes cannot tell, as `Hints` reads it, from the JSON configurations of a folder's parts."""
    unet, vae = (configs.get(name, {}) for name in ("unet", "vae"))
    found: dict[str, Any] = {"unet": {"groups": unet.get("norm_num_groups"), **_heads(unet)}}
    found["vae"] = {
        "groups": vae.get("norm_num_groups"),
        "scale_factor": vae.get("scaling_factor"),
        "shift_factor": vae.get("shift_factor"),
    }
    for part, folder in TEXT_FOLDERS.items():
        if folder in configs:
            found[part] = _text(configs[folder])
    return found | _schedule(configs.get("scheduler", {}))


def _text(clip: Mapping[str, Any]) -> dict[str, Any]:
    end = clip.get("eos_token_id")
    return {
        "heads": clip.get("num_attention_heads"),
        "activation": clip.get("hidden_act"),
        "end_token": None if end == 2 else end,  # 2 is what old configurations of CLIP say, whatever the vocabulary
    }


def _heads(unet: Mapping[str, Any]) -> dict[str, Any]:
    # What diffusers calls attention_head_dim is the number of heads, one a level where it is a list.
    heads = unet.get("num_attention_heads") or unet.get("attention_head_dim")
    widths = unet.get("block_out_channels")
    if not isinstance(heads, list):
        return {"heads": heads}
    if isinstance(widths, list) and len(widths) == len(heads) and all(type(n) is int and n > 0 for n in heads + widths):
        sizes = {width // number for width, number in zip(widths, heads, strict=True)}
        if len(set(heads)) == 1:
            return {"heads": heads[0]}
        if len(sizes) == 1:
            return {"head_dim": sizes.pop()}
    return {"heads": heads}


def _schedule(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    predictions = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
    prediction = scheduler.get("prediction_type")
    schedule = {
        "kind": "diffusion",
        "betas": scheduler.get("beta_schedule"),
        "beta_start": scheduler.get("beta_start"),
        "beta_end": scheduler.get("beta_end"),
        "steps": scheduler.get("num_train_timesteps"),
        "zero_terminal_snr": scheduler.get("rescale_betas_zero_snr"),
    }
    found: dict[str, Any] = {"schedule": schedule} if scheduler else {}
    if prediction is not None:
        found["prediction"] = predictions.get(prediction, prediction) if isinstance(prediction, str) else prediction
    return found


def renamed(tensors: Tensors, modules: Mapping[str, str], suffixes: Mapping[str, str]) -> Tensors:
    """Rename tensors: the longest module prefix that is known, then what follows it."""
    return {_name(name, modules, suffixes): info for name, info in tensors.items()}


def _name(name: str, modules: Mapping[str, str], suffixes: Mapping[str, str]) -> str:
    """Replace the longest module prefix that is known, then what follows it; a name of no known module stays."""
    words = name.split(".")
    for length in range(len(words) - 1, 0, -1):
        prefix = ".".join(words[:length])
        if prefix in modules:
            rest = ".".join(words[length:])
            for suffix, ours in suffixes.items():
                if rest.startswith(f"{suffix}."):
                    rest = ours + rest.removeprefix(suffix)
                    break
            return f"{modules[prefix]}.{rest}"
    return name


def _count(tensors: Tensors, pattern: str) -> int:
    return next(index for index in count() if not _holds(tensors, pattern.format(index)))


def _holds(tensors: Tensors, start: str) -> bool:
    return any(name.startswith(start) for name in tensors)
