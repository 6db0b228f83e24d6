"""Encodes scenes once, so that the diffusion network trains on latents kept in memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.values import Colors
from nodegraph.training.autoencoder import to_tensor
from nodegraph.training.denoising import LatentScenes
from nodegraph.training.scenes import Scene, Split, draw_scene, render
from nodegraph.training.styles import FLAT, Style


def draw_scenes(count: int, seed: int, split: Split = "training") -> list[Scene]:
    """Draw the scenes of a data set; the same again for the same seed."""
    rng = np.random.default_rng((seed, 0))
    return [draw_scene(rng, split) for _ in range(count)]


@torch.no_grad()
def encode_scenes(
    autoencoder: Autoencoder, scenes: list[Scene], seed: int, batch: int = 32, style: Style = FLAT
) -> Tensor:
    """Render and encode scenes: the likeliest latents (N, C, h, w), unscaled."""
    parts = [autoencoder.encode(images).mode().contiguous() for images in _rendered(scenes, seed, batch, style)]
    return torch.cat(parts)


@torch.no_grad()
def preview_colors(
    autoencoder: Autoencoder, scenes: list[Scene], seed: int, batch: int = 32, style: Style = FLAT
) -> Colors:
    """Fit by least squares what the channels of scaled latents add to a picture, for previews."""
    seen, shown = [], []
    for images in _rendered(scenes, seed, batch, style):
        latents = scaled(autoencoder, autoencoder.encode(images).mode())
        seen.append(latents.movedim(1, -1).flatten(0, 2).double())
        shown.append(F.avg_pool2d(images, autoencoder.config.downscale).movedim(1, -1).flatten(0, 2).double())
    cells = torch.cat(seen)
    fitted = torch.linalg.lstsq(torch.cat([cells, torch.ones(len(cells), 1)], 1), torch.cat(shown)).solution
    return tuple((round(red, 3), round(green, 3), round(blue, 3)) for red, green, blue in fitted.tolist())


def _rendered(scenes: list[Scene], seed: int, batch: int, style: Style) -> Iterator[Tensor]:
    rng = np.random.default_rng((seed, 1))
    for start in range(0, len(scenes), batch):
        yield to_tensor(np.stack([render(scene, rng, style) for scene in scenes[start : start + batch]]))


def scaled(autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """Turn unscaled latents into what the diffusion network sees."""
    config = autoencoder.config
    return (latents - config.shift_factor) * config.scale_factor


def cached_scenes(autoencoder: Autoencoder, count: int, seed: int, path: Path, style: Style = FLAT) -> LatentScenes:
    """Return the data set of a seed, its latents from the file at `path` if they are there, else encoded and kept."""
    scenes = draw_scenes(count, seed)
    if path.exists():
        latents: Tensor = torch.load(path, weights_only=True)
        if len(latents) != count:
            raise ValueError(f"{path}: holds {len(latents)} latents, expected {count}; remove it to encode anew")
    else:
        latents = scaled(autoencoder, encode_scenes(autoencoder, scenes, seed, style=style))
        partial = path.with_suffix(".partial")
        torch.save(latents, partial)
        partial.replace(path)
    return LatentScenes(scenes, latents)
