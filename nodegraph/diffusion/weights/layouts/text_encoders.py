"""CLIP's text encoders, named as transformers or OpenCLIP do: alone in a file, or among others in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from nodegraph.diffusion.weights.family import Family, Part, Telltale, Tensors
from nodegraph.diffusion.weights.header import TensorInfo
from nodegraph.diffusion.weights.layouts.diffusers import TEXT_FOLDERS, renamed
from nodegraph.diffusion.weights.layouts.sd1 import CLIP as SD1_CLIP
from nodegraph.diffusion.weights.shapes import PROJECTION, clip_config

LAYER = "text_model.encoder.layers.{}.mlp.fc1.weight"
OUTER = ("text_model.", "text_projection.", "logit_scale", "vision_model.", "visual_projection.")
"""How the names of transformers' start that stand outside of `text_model`, which some of its versions leave out."""
IGNORED = (
    *("text_model.embeddings.position_ids", "text_model.text_projection.", "text_model.logit_scale", "logit_scale"),
    *("vision_model.", "visual_projection.", "visual.", "attn_mask"),
)
"""Buffers, leftovers of training, and the half of a CLIP that sees."""

OPEN_BLOCK = "transformer.resblocks.{}"
OPEN_MODULES = {"token_embedding": "text_model.embeddings.token_embedding", "ln_final": "text_model.final_layer_norm"}
OPEN_SUFFIXES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
OPEN_POSITIONS, OPEN_PROJECTION = "positional_embedding", "text_projection"


def text_names(tensors: Tensors) -> Tensors:
    """Give the tensors of a CLIP text encoder our names, from those of OpenCLIP or any version of transformers."""
    if f"{OPEN_BLOCK.format(0)}.ln_1.weight" in tensors:
        return _from_open_clip(tensors)
    return {name if name.startswith(OUTER) else f"text_model.{name}": info for name, info in tensors.items()}


def _from_open_clip(tensors: Tensors) -> Tensors:
    blocks = next(number for number in count() if f"{OPEN_BLOCK.format(number)}.ln_1.weight" not in tensors)
    modules = {OPEN_BLOCK.format(number): f"text_model.encoder.layers.{number}" for number in range(blocks)}
    parted = dict(part for name, info in tensors.items() for part in _parted(name, info))
    return renamed(parted, modules | OPEN_MODULES, OPEN_SUFFIXES)


def _parted(name: str, info: TensorInfo) -> Iterator[tuple[str, TensorInfo]]:
    """Yield the tensors that one of OpenCLIP's stands for: queries, keys and values lie in one there."""
    if name == OPEN_POSITIONS:
        yield "text_model.embeddings.position_embedding.weight", info
    elif name == OPEN_PROJECTION and len(info.shape) == 2:
        yield PROJECTION, replace(info, shape=info.shape[::-1], transposed=True)
    elif ".attn.in_proj_" in name and info.shape and info.shape[0] % 3 == 0:
        block, leaf = name.split(".attn.in_proj_")
        rows = info.shape[0] // 3
        for number, kind in enumerate("qkv"):
            yield f"{block}.self_attn.{kind}_proj.{leaf}", info.rows(number * rows, rows)
    else:
        yield name, info


@dataclass(frozen=True)
class TextPart(Part):
    """A text encoder whose file may hold nothing else; it is stored under transformers' names alone."""

    def from_file(self, tensors: Tensors) -> Tensors:
        """Return its tensors under our names."""
        return self.wanted(text_names(self.below_prefix(tensors) or tensors))

    def stored_name(self, key: str) -> str:
        """Return our name, which is transformers'."""
        return key


_part = partial(
    TextPart, from_diffusers=text_names, network="nodegraph.diffusion.models.clip:ClipText",
    settings=("heads", "activation", "end_token"),
)  # fmt: skip

CLIP_L = Family(
    name="clip_l",
    title="CLIP-L",
    parts=(
        _part(
            name="clip_l",
            title="text encoder",
            prefixes=(
                ("conditioner.embedders.0.transformer.", ""),
                ("cond_stage_model.transformer.", ""),
                ("text_encoders.clip_l.transformer.", ""),
                ("clip_l.transformer.", ""),
            ),
            folder=TEXT_FOLDERS["clip_l"],
            configure=partial(clip_config, sections=("clip_l", "clip")),
            ignored=(*IGNORED, PROJECTION),  # of use where its pooled text is, as in no family that is known here
        ),
    ),
    has_all=(Telltale("clip_l", LAYER.format(0)),),
    has_none=(Telltale("clip_l", LAYER.format(22)),),
)

CLIP_G = Family(
    name="clip_g",
    title="OpenCLIP-bigG",
    parts=(
        _part(
            name="clip_g",
            title="text encoder",
            prefixes=(
                ("conditioner.embedders.1.model.", ""),
                ("conditioner.embedders.0.model.", ""),
                ("text_encoders.clip_g.transformer.", ""),
                ("clip_g.transformer.", ""),
            ),
            folder=TEXT_FOLDERS["clip_g"],
            configure=partial(clip_config, sections=("clip_g",), activation="gelu", projects=True),
            ignored=IGNORED,
        ),
    ),
    has_all=(Telltale("clip_g", LAYER.format(30)),),
)

TEXT_ENCODERS = (CLIP_L, CLIP_G)
"""The text encoders that can be loaded by themselves; each is named as the part of a model that it is."""

KINDS = {
    "stable_diffusion": "CLIP-L, or OpenCLIP-bigG for SDXL's refiner",
    "stable_cascade": "OpenCLIP-bigG and a way to read it of its own",
    "sd3": "one of CLIP-L, OpenCLIP-bigG and T5-XXL",
    "stable_audio": "T5-base",
    "mochi": "T5-XXL",
    "ltxv": "T5-XXL",
    "pixart": "T5-XXL",
    "cosmos": "T5-XXL 1.0",
    "lumina2": "Gemma 2",
    "wan": "UMT5-XXL",
    "hidream": "Llama 3.1 or T5-XXL",
    "chroma": "T5-XXL",
    "ace": "UMT5-base",
    "omnigen2": "Qwen2.5-VL",
    "qwen_image": "Qwen2.5-VL",
    "hunyuan_image": "Qwen2.5-VL",
}
"""What text encoder models of a kind have, by ComfyUI's names of those that need one file."""
PAIRS = {
    "sdxl": "CLIP-L and OpenCLIP-bigG",
    "sd3": "two of CLIP-L, OpenCLIP-bigG and T5-XXL",
    "flux": "CLIP-L and T5-XXL",
    "hunyuan_video": "CLIP-L and Llama 3",
    "hidream": "T5-XXL and Llama 3.1",
    "hunyuan_image": "Qwen2.5-VL and ByT5",
}
"""What text encoders models of a kind have, by ComfyUI's names of those that need two files."""
THERE = ("stable_diffusion", "sdxl")
"""The kinds that can be loaded."""


def check_kind(kind: str, kinds: Mapping[str, str]) -> None:
    """Raise ValueError for a kind of models whose text encoders cannot be loaded, or that is none of `kinds`."""
    there = " and ".join(f"{name!r} ({kinds[name]})" for name in THERE if name in kinds)
    if kind not in kinds:
        raise ValueError(f"type {kind!r}: expected one of {', '.join(kinds)}")
    if kind not in THERE:
        raise ValueError(f"type {kind!r} ({kinds[kind]}) cannot be loaded yet; what can be is {there}")


def sole_families(part: str, known: Iterable[Family]) -> list[Family]:
    """Return what a file may be that is to give one part of a model of the families `known`."""
    if part != SD1_CLIP.name:
        return [family.alone(part) for family in known if part in family.named]
    given = [family for family in known if part in family.named]
    others = [family.alone(part) for family in given if family.named[part] != SD1_CLIP]  # which is CLIP-L
    return [*TEXT_ENCODERS, *others]
