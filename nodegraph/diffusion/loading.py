"""From a checkpoint file to the values that nodes pass on: the model, its text encoder and its autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodegraph.diffusion.devices import parse_dtype
from nodegraph.diffusion.memory.filling import Tell
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import Clip, LatentFormat, Model, Placed, Vae
from nodegraph.diffusion.weights.load import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds."""

    model: Model
    clip: Clip
    vae: Vae


def load(path: Path, *, device: str | None = None, dtype: str | None = None, progress: Tell | None = None) -> Loaded:
    """Load a checkpoint file or diffusers folder; `dtype` is `fp32`, `fp16` or `bf16`, None suits the device.

    Raises WeightsError for a file that is none, ValueError for an unknown precision.
    """
    precision = None if dtype is None else parse_dtype(dtype)
    checkpoint = load_checkpoint(path, device=device, dtype=precision, progress=progress)
    return Loaded(_model(checkpoint), _clip(checkpoint), _vae(checkpoint))


def _model(checkpoint: Checkpoint) -> Model:
    unet, vae = checkpoint.unet, checkpoint.vae.config
    colors = vae.preview_colors or checkpoint.family.colors
    return Model(
        network=Placed(unet),
        prediction=checkpoint.prediction,
        schedule=checkpoint.schedule,
        latent=LatentFormat(vae.latent_channels, vae.scale_factor, vae.shift_factor, colors),
        context_dim=unet.config.context_dim,
        concat=concat_of(unet.config.in_channels, vae.latent_channels),
        family=checkpoint.family.name,
    )


def concat_of(in_channels: int, latent_channels: int) -> Literal["", "inpaint", "image"]:
    """Return what a denoising network sees beside the noisy sample, by the number of channels that it takes."""
    if in_channels == 2 * latent_channels + 1:
        return "inpaint"
    return "image" if in_channels == 2 * latent_channels else ""


def _clip(checkpoint: Checkpoint) -> Clip:
    folder = checkpoint.path if checkpoint.path.is_dir() else None
    return Clip(Placed(checkpoint.clip), clip_tokenizer(folder))


def _vae(checkpoint: Checkpoint) -> Vae:
    config = checkpoint.vae.config
    downscale = 2 ** (len(config.channel_multipliers) - 1)
    return Vae(Placed(checkpoint.vae), downscale, config.latent_channels)
