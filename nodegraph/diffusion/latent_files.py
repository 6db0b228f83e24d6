"""Latents in files: safetensors with ComfyUI's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

SAMPLES: Final = "latent_tensor"
UNSCALED: Final = "latent_format_version_0"
"""An empty tensor of this name tells that the samples are the autoencoder's own; older files hold scaled ones."""
OLD_SCALE: Final = 0.18215


class LatentFileError(ValueError):
    """A file that does not hold latents."""


def write_latent(path: Path, samples: Tensor, text: Mapping[str, str]) -> None:
    """Write samples (B, C, h, w) of an autoencoder, unscaled, with `text` in the metadata."""
    tensors = {SAMPLES: samples.detach().cpu().contiguous().clone(), UNSCALED: torch.empty(0)}
    save_file(tensors, path, dict(text))


def read_latent(path: Path) -> Tensor:
    """Return samples (B, C, h, w) float32, unscaled; raise `LatentFileError` for a file that holds none."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise LatentFileError(f"{path}: not a file of latents: {error}") from error
    samples = tensors.get(SAMPLES)
    if samples is None or samples.ndim != 4 or not samples.is_floating_point():
        got = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(tensors.items())[:5]) or "nothing"
        raise LatentFileError(f"{path}: got {got}, expected {SAMPLES} of the shape (B, C, h, w)")
    return samples.float() if UNSCALED in tensors else samples.float() / OLD_SCALE
