"""From files to the values that nodes pass on: models, text encoders and autoencoders, whose weights come when used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch

from nodegraph.diffusion.devices import parse_dtype
from nodegraph.diffusion.memory.stored import Stored, stored
from nodegraph.diffusion.merging.weights import RoundedWeights
from nodegraph.diffusion.registry import families
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.tiny import load_tiny_vae, tiny_files
from nodegraph.diffusion.values import Clip, Model, TextEncoder, Vae
from nodegraph.diffusion.weights.detect import detect
from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.layouts.text_encoders import (
    CLIP_G,
    CLIP_L,
    KINDS,
    PAIRS,
    TEXT_ENCODERS,
    check_kind,
    sole_families,
)
from nodegraph.diffusion.weights.load import Opened, open_checkpoint
from nodegraph.diffusion.weights.source import open_source

ValueT = TypeVar("ValueT")
PENULTIMATE = -2
"""The layer that SDXL reads of its text encoders."""
EIGHT_BITS = {"fp8_e4m3fn": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds."""

    model: Model
    clip: Clip
    vae: Vae


def load(path: Path, *, device: str | None = None, dtype: str | None = None) -> Loaded:
    """Open a checkpoint file or diffusers folder; `dtype` is `fp32`, `fp16` or `bf16`, None suits the device.

    Only headers are read: the weights are brought, and kept while there is memory, when a network is used. Raises
    WeightsError for a file that is none, ValueError for an unknown precision.
    """
    opened = _opened(path, device, dtype)
    return Loaded(_model(opened), _clip(opened), _vae(opened))


def load_model(path: Path, *, device: str | None = None, dtype: str | None = None, rounded: str = "") -> Model:
    """Open a denoising network that is alone in a file or folder, or the one of a checkpoint, as `load` does.

    `rounded` is `fp8_e4m3fn` or `fp8_e5m2` to round its weights to what 8 bits hold.
    """
    model = _part(path, "unet", _model, device, dtype)
    if rounded not in EIGHT_BITS:
        return model
    network = stored(model.network)
    weights = RoundedWeights(network.blueprint.weights, EIGHT_BITS[rounded])
    return replace(model, network=Stored(replace(network.blueprint, weights=weights)))


def load_clip(
    path: Path, *, kind: str = "stable_diffusion", device: str | None = None, dtype: str | None = None
) -> Clip:
    """Open a text encoder that is alone in a file or folder, or the one of a checkpoint, as `load` does.

    `kind` is ComfyUI's name for the models that it is for; OpenCLIP-bigG alone is that of SDXL's refiner. Raises
    ValueError for a kind that cannot be loaded.
    """
    check_kind(kind, KINDS)
    return _part(path, "clip", _clip, device, dtype)


def load_clips(
    paths: tuple[Path, Path], *, kind: str = "sdxl", device: str | None = None, dtype: str | None = None
) -> Clip:
    """Open two text encoders that go together, in whatever order, as `load_clip` does with one.

    Raises ValueError for a kind that cannot be loaded, and for files that hold something else than one of each.
    """
    check_kind(kind, PAIRS)
    held = [_text_encoders(path) for path in paths]
    orders = ((first, 1 - first) for first in (0, 1))
    order = next(((a, b) for a, b in orders if CLIP_L in held[a] and CLIP_G in held[b]), None)
    if order is None:
        pairs = zip(paths, held, strict=True)
        got = " and ".join(f"{path.name} ({' and '.join(one.title for one in found)})" for path, found in pairs)
        raise ValueError(f"type {kind!r} takes a file with {CLIP_L.title} and one with {CLIP_G.title}; got {got}")
    small, large = (
        _opened(paths[place], device, dtype, [family]) for place, family in zip(order, (CLIP_L, CLIP_G), strict=True)
    )
    return Clip(
        Stored(small.blueprints[CLIP_L.name]),
        _tokenizer(small),
        CLIP_L.name,
        normed=False,
        pools=False,
        stop_layer=PENULTIMATE,
        beside=(_large(large),),
    )


def _text_encoders(path: Path) -> list[Family]:
    """Return which text encoders a file or folder holds; raise UnknownModelError where it holds none that is known."""
    source = open_source(path, TEXT_ENCODERS)
    held = [one for one in TEXT_ENCODERS if not one.problems(one.split(source.tensors, source.folder))]
    return held or [detect(source, TEXT_ENCODERS).family]


def load_vae(path: Path, *, device: str | None = None, dtype: str | None = None) -> Vae:
    """Open an autoencoder that is alone in a file or folder, or the one of a checkpoint, as `load` does.

    A tiny one (TAESD) may be in two files, of which `path` is one.
    """
    tiny = tiny_files(path)
    return load_tiny_vae(tiny, device=device, dtype=dtype) if tiny else _part(path, "vae", _vae, device, dtype)


def _part(path: Path, part: str, value: Callable[[Opened], ValueT], device: str | None, dtype: str | None) -> ValueT:
    known = sole_families(part, families())
    return value(_opened(path, device, dtype, known))


def _opened(path: Path, device: str | None, dtype: str | None, known: Iterable[Family] | None = None) -> Opened:
    precision: torch.dtype | None = None if dtype is None else parse_dtype(dtype)
    return open_checkpoint(path, device=device, dtype=precision, families=known)


def _model(opened: Opened) -> Model:
    config = opened.configs["unet"]
    return Model(
        network=Stored(opened.blueprints["unet"]),
        prediction=opened.prediction,
        schedule=opened.schedule,
        latent=opened.latent,
        context_dim=config.context_dim,
        concat=concat_of(config.in_channels, config.out_channels),
        family=opened.family.name,
    )


def concat_of(in_channels: int, latent_channels: int) -> Literal["", "inpaint", "image"]:
    """Return what a denoising network sees beside the noisy sample, by the number of channels that it takes."""
    if in_channels == 2 * latent_channels + 1:
        return "inpaint"
    return "image" if in_channels == 2 * latent_channels else ""


def _clip(opened: Opened) -> Clip:
    if opened.family is CLIP_G:  # alone it is the one of SDXL's refiner
        large = _large(opened)
        return Clip(large.network, large.tokenizer, large.part, large.pad, large.normed, stop_layer=PENULTIMATE)
    part = CLIP_L.name if opened.family is CLIP_L else "clip"
    return Clip(Stored(opened.blueprints[part]), _tokenizer(opened))


def _large(opened: Opened) -> TextEncoder:
    """Return OpenCLIP-bigG as SDXL reads it."""
    return TextEncoder(Stored(opened.blueprints[CLIP_G.name]), _tokenizer(opened), CLIP_G.name, pad=0, normed=False)


def _tokenizer(opened: Opened) -> Tokenizer:
    return clip_tokenizer(opened.path if opened.path.is_dir() else None)


def _vae(opened: Opened) -> Vae:
    config = opened.configs["vae"]
    downscale = 2 ** (len(config.channel_multipliers) - 1)
    return Vae(Stored(opened.blueprints["vae"]), downscale, config.latent_channels)
