"""Tiny autoencoders (Bohan 2023, TAESD); layers are numbered as in their authors' checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.configs import TaesdConfig
from nodegraph.diffusion.models.vae import Posterior

__all__ = ["Taesd", "TaesdConfig"]

LARGEST = 3.0
"""Latents are bent to stay within it."""
BLOCKS = (1, 3, 3, 3)
"""Residual blocks at each resolution, full size first."""


class Block(nn.Module):
    """Three convolutions added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return F.relu(self.conv(x) + x)


class Clamp(nn.Module):
    """Bend values to stay within a range."""

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to itself."""
        return torch.tanh(x / LARGEST) * LARGEST


def encoder(config: TaesdConfig) -> nn.Sequential:
    """Return what maps pictures (B, 3, H, W) in [0, 1] to scaled latents (B, C, H / 8, W / 8)."""
    width = config.channels
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for level, blocks in enumerate(BLOCKS):
        if level:
            layers.append(nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False))
        layers += [Block(width) for _ in range(blocks)]
    return nn.Sequential(*layers, nn.Conv2d(width, config.latent_channels, 3, padding=1))


def decoder(config: TaesdConfig) -> nn.Sequential:
    """Return what maps scaled latents (B, C, h, w) to pictures (B, 3, 8 * h, 8 * w), about [0, 1]."""
    width = config.channels
    layers: list[nn.Module] = [Clamp(), nn.Conv2d(config.latent_channels, width, 3, padding=1), nn.ReLU()]
    for level, blocks in reversed(list(enumerate(BLOCKS))):
        layers += [Block(width) for _ in range(blocks)]
        if level:
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))


class Taesd(nn.Module):
    """Turn images into latents and back as an `Autoencoder` does, in a hundredth of the time and with fewer details."""

    def __init__(self, config: TaesdConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder(config) if config.encodes else None
        self.decoder = decoder(config) if config.decodes else None

    def encode(self, images: Tensor) -> Posterior:
        """Return the latents, which are certain, for images (B, 3, H, W) in [-1, 1]."""
        if self.encoder is None:
            raise ValueError("this tiny autoencoder has no encoder: its file with 'encoder' in the name is needed too")
        scaled = self.encoder((images.to(memory_format=torch.channels_last) + 1) / 2)
        latents = scaled / self.config.scale_factor + self.config.shift_factor
        return Posterior(latents, torch.full_like(latents, -torch.inf))

    def decode(self, z: Tensor) -> Tensor:
        """Return images (B, 3, H, W), about [-1, 1], for unscaled latents (B, C, h, w)."""
        if self.decoder is None:
            raise ValueError("this tiny autoencoder has no decoder: its file with 'decoder' in the name is needed too")
        scaled = (z - self.config.shift_factor) * self.config.scale_factor
        images: Tensor = self.decoder(scaled.to(memory_format=torch.channels_last)) * 2 - 1
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Return images (B, 3, H, W) rebuilt from their latents."""
        return self.decode(self.encode(images).mode())
