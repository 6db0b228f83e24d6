"""The KL autoencoder of latent diffusion (Rombach et al. 2022); attributes carry the names of LDM's checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.configs import AutoencoderConfig

__all__ = ["Autoencoder", "AutoencoderConfig", "Posterior"]

EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Posterior:
    """A diagonal Gaussian over unscaled latents; mean and logvar are (B, C, h, w)."""

    mean: Tensor
    logvar: Tensor

    def mode(self) -> Tensor:
        """Return the likeliest latents (B, C, h, w)."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents (B, C, h, w); the noise is drawn in float32 on the generator's device."""
        device = generator.device if generator is not None else self.mean.device
        noise = torch.randn(self.mean.shape, generator=generator, device=device).to(self.mean)
        return self.mean + (0.5 * self.logvar).exp() * noise


class ResnetBlock(nn.Module):
    """Two convolutions added to the input."""

    def __init__(self, width: int, out_width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width, eps=EPS)
        self.conv1 = nn.Conv2d(width, out_width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_width, eps=EPS)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)
        if width != out_width:
            self.nin_shortcut = nn.Conv2d(width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h  # type: ignore[no-any-return]


class AttnBlock(nn.Module):
    """Single-head self-attention over all cells, added to the input."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=EPS)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        h = self.norm(x)
        # Contiguous, or attention falls back to holding all HW x HW scores.
        q, k, v = (
            conv(h).flatten(2).transpose(1, 2).contiguous()[:, None]  # (B, 1, HW, C)
            for conv in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)[:, 0]  # (B, HW, C)
        return x + self.proj_out(mixed.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


class Downsample(nn.Module):
    """Halve the sides by a strided convolution that pads right and bottom only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H // 2, W // 2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Double the sides by nearest neighbours and a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


class Level(nn.Module):
    """The residual blocks of one resolution, and the step to the next level if there is one."""

    def __init__(self, widths: list[int], groups: int, step: Literal["down", "up"] | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(width, out, groups) for width, out in pairwise(widths))
        self.downsample = Downsample(widths[-1]) if step == "down" else None
        self.upsample = Upsample(widths[-1]) if step == "up" else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H', W'), the next level's size."""
        for block in self.block:
            x = block(x)
        step = self.downsample or self.upsample
        return x if step is None else step(x)


class Middle(nn.Module):
    """Attention between two residual blocks at the lowest resolution."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(width, width, groups)
        self.attn_1 = AttnBlock(width, groups)
        self.block_2 = ResnetBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.block_2(self.attn_1(self.block_1(x)))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Images to the moments of latents."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(config.image_channels, config.channels, 3, padding=1)
        self.down = nn.ModuleList()
        width, last = config.channels, len(config.widths) - 1
        for level, out_width in enumerate(config.widths):
            widths = [width, *[out_width] * config.res_blocks]
            self.down.append(Level(widths, config.groups, "down" if level < last else None))
            width = out_width
        self.mid = Middle(width, config.groups)
        self.norm_out = nn.GroupNorm(config.groups, width, eps=EPS)
        self.conv_out = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 2 * latent, h, w)."""
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Latents to images; `up` counts from full resolution and runs backwards."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        width = config.widths[-1]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        self.mid = Middle(width, config.groups)
        levels: list[Level] = []
        for level in reversed(range(len(config.widths))):
            widths = [width, *[config.widths[level]] * (config.res_blocks + 1)]
            levels.append(Level(widths, config.groups, "up" if level else None))
            width = config.widths[level]
        self.up = nn.ModuleList(reversed(levels))
        self.norm_out = nn.GroupNorm(config.groups, width, eps=EPS)
        self.conv_out = nn.Conv2d(width, config.image_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, latent, h, w) to (B, 3, H, W)."""
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))  # type: ignore[no-any-return]


class Autoencoder(nn.Module):
    """Turn images into latents and back; the latents here are the autoencoder's own, unscaled.

    It computes with channels last in memory, which resizes and convolves large pictures faster (by 15 % on a CPU).
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        if config.quant_conv:
            self.quant_conv = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)
            self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)

    def encode(self, images: Tensor) -> Posterior:
        """Return the latents' distribution for images (B, 3, H, W) in [-1, 1]."""
        moments = self.encoder(images.to(memory_format=torch.channels_last))
        if self.config.quant_conv:
            moments = self.quant_conv(moments)
        mean, logvar = moments.chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(-30.0, 20.0))

    def decode(self, z: Tensor) -> Tensor:
        """Return images (B, 3, H, W), about [-1, 1], for unscaled latents (B, C, h, w)."""
        if self.config.quant_conv:
            z = self.post_quant_conv(z)
        return self.decoder(z.to(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """Return images (B, 3, H, W) rebuilt from their likeliest latents."""
        return self.decode(self.encode(images).mode())
