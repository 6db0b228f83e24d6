"""ESRGAN's generator: residual-in-residual dense blocks (Wang et al. 2018), with the names of Real-ESRGAN's files."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.models.upscaling import RrdbConfig

RESIDUAL = 0.2
SLOPE = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it gave."""

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        channels, growth = config.channels, config.growth
        for index in range(1, 6):
            wide = channels if index == 5 else growth
            setattr(self, f"conv{index}", nn.Conv2d(channels + (index - 1) * growth, wide, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, C, H, W) of features of the same shape."""
        seen = x
        for index in range(1, 5):
            convolution = cast("nn.Conv2d", getattr(self, f"conv{index}"))
            seen = torch.cat([seen, functional.leaky_relu(convolution(seen), SLOPE, inplace=True)], dim=1)
        return cast("Tensor", x + RESIDUAL * cast("nn.Conv2d", self.conv5)(seen))


class Block(nn.Module):
    """Three dense blocks and a shortcut over them."""

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = DenseBlock(config), DenseBlock(config), DenseBlock(config)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, C, H, W) of features of the same shape."""
        return cast("Tensor", x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x))))


class Rrdb(nn.Module):
    """Make pictures (B, C, H, W) in [0, 1] larger by the factor `config.scale`."""

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.conv_first = nn.Conv2d(config.in_channels * config.shuffle**2, channels, 3, padding=1)
        self.body = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        for index in range(1, config.doublings + 1):
            setattr(self, f"conv_up{index}", nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, config.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures (B, C', H * scale, W * scale); odd sides are filled up by mirroring and cut off again."""
        height, width = x.shape[-2:]
        pack = self.config.shuffle
        if pack > 1:
            x = functional.pixel_unshuffle(_filled_up(x, pack), pack)
        first = self.conv_first(x)
        features = first
        for block in self.body:
            features = block(features)
        features = first + self.conv_body(features)
        for index in range(1, self.config.doublings + 1):
            larger = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = functional.leaky_relu(cast("nn.Conv2d", getattr(self, f"conv_up{index}"))(larger), SLOPE)
        out = self.conv_last(functional.leaky_relu(self.conv_hr(features), SLOPE))
        return cast("Tensor", out[..., : height * self.config.scale, : width * self.config.scale])


def _filled_up(x: Tensor, multiple: int) -> Tensor:
    """Return (B, C, H, W) with sides that are multiples of a number; a side too short to mirror is repeated."""
    down, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    mode = "reflect" if down < x.shape[-2] and right < x.shape[-1] else "replicate"
    return functional.pad(x, (0, right, 0, down), mode=mode)
