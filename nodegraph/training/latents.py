"""Encodes scenes once, so that the diffusion network trains on latents kept in memory."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.training.autoencoder import to_tensor
from nodegraph.training.denoising import LatentScenes
from nodegraph.training.scenes import Scene, Split, draw_scene, render


def draw_scenes(count: int, seed: int, split: Split = "training") -> list[Scene]:
    """Draw the scenes of a data set; the same again for the same seed."""
    rng = np.random.default_rng((seed, 0))
    return [draw_scene(rng, split) for _ in range(count)]


@torch.no_grad()
def encode_scenes(autoencoder: Autoencoder, scenes: list[Scene], seed: int, batch: int = 32) -> Tensor:
    """Render and encode scenes: the likeliest latents (N, C, h, w), unscaled."""
    rng = np.random.default_rng((seed, 1))
    parts = []
    for start in range(0, len(scenes), batch):
        images = to_tensor(np.stack([render(scene, rng) for scene in scenes[start : start + batch]]))
        parts.append(autoencoder.encode(images).mode().contiguous())
    return torch.cat(parts)


def scaled(autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """Turn unscaled latents into what the diffusion network sees."""
    config = autoencoder.config
    return (latents - config.shift_factor) * config.scale_factor


def cached_scenes(autoencoder: Autoencoder, count: int, seed: int, path: Path) -> LatentScenes:
    """Return the data set of a seed, its latents from the file at `path` if they are there, else encoded and kept."""
    scenes = draw_scenes(count, seed)
    if path.exists():
        latents: Tensor = torch.load(path, weights_only=True)
        if len(latents) != count:
            raise ValueError(f"{path}: holds {len(latents)} latents, expected {count}; remove it to encode anew")
    else:
        latents = scaled(autoencoder, encode_scenes(autoencoder, scenes, seed))
        partial = path.with_suffix(".partial")
        torch.save(latents, partial)
        partial.replace(path)
    return LatentScenes(scenes, latents)
