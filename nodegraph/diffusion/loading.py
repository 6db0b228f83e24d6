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
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.tiny import load_tiny_vae, tiny_files
from nodegraph.diffusion.values import Clip, Model, Vae
from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.load import Opened, open_checkpoint

ValueT = TypeVar("ValueT")
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


def load_clip(path: Path, *, device: str | None = None, dtype: str | None = None) -> Clip:
    """Open a text encoder that is alone in a file or folder, or the one of a checkpoint, as `load` does."""
    return _part(path, "clip", _clip, device, dtype)


def load_vae(path: Path, *, device: str | None = None, dtype: str | None = None) -> Vae:
    """Open an autoencoder that is alone in a file or folder, or the one of a checkpoint, as `load` does.

    A tiny one (TAESD) may be in two files, of which `path` is one.
    """
    tiny = tiny_files(path)
    return load_tiny_vae(tiny, device=device, dtype=dtype) if tiny else _part(path, "vae", _vae, device, dtype)


def _part(path: Path, part: str, value: Callable[[Opened], ValueT], device: str | None, dtype: str | None) -> ValueT:
    known = [family.alone(part) for family in families() if part in family.named]
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
    folder = opened.path if opened.path.is_dir() else None
    return Clip(Stored(opened.blueprints["clip"]), clip_tokenizer(folder))


def _vae(opened: Opened) -> Vae:
    config = opened.configs["vae"]
    downscale = 2 ** (len(config.channel_multipliers) - 1)
    return Vae(Stored(opened.blueprints["vae"]), downscale, config.latent_channels)
