"""Tiny checkpoints to be merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.weights.save import save_checkpoint

UNET = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=24, heads=4, groups=8
)
VAE = AutoencoderConfig(channels=16, channel_multipliers=(1, 2), res_blocks=1, groups=8, scale_factor=0.5)
CLIP = ClipTextConfig(vocabulary=100, width=24, layers=2, heads=4, mlp_width=64, end_token=98)

Checkpoint = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Return a function that writes a tiny checkpoint with random weights of a seed."""

    def write(seed: int, unet: UNetConfig = UNET) -> Path:
        torch.manual_seed(seed)
        parts: dict[str, nn.Module] = {"unet": UNet(unet), "vae": Autoencoder(VAE), "clip": ClipText(CLIP)}
        for part in parts.values():
            for parameter in part.parameters():
                nn.init.normal_(parameter, std=0.2)
        return save_checkpoint(tmp_path / f"{seed}.safetensors", parts, dtype=torch.float32)

    return write
