"""SPAN: a swift network whose attention has no parameters (Wan et al. 2024)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.models.upscaling import SpanConfig

MEAN = (0.4488, 0.4371, 0.4040)
LEVELS = 255.0
BLOCKS = 6


class StagedConv(nn.Module):
    """A 3x3 convolution as it is trained: 1x1, 3x3, 1x1 in a row, and a 1x1 shortcut beside them."""

    def __init__(self, inputs: int, outputs: int, gain: int) -> None:
        super().__init__()
        self.sk = nn.Conv2d(inputs, outputs, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inputs * gain, 1),
            nn.Conv2d(inputs * gain, outputs * gain, 3),
            nn.Conv2d(outputs * gain, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W) of (B, inputs, H, W)."""
        return cast("Tensor", self.conv(functional.pad(x, (1, 1, 1, 1))) + self.sk(x))

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the one convolution that does the same."""
        first, second, third = (cast("nn.Conv2d", stage) for stage in self.conv)
        weights = [stage.weight for stage in (first, second, third)]
        kernel = torch.einsum("op,pqhw,qi->oihw", weights[2][..., 0, 0], weights[1], weights[0][..., 0, 0])
        kernel[..., 1, 1] += self.sk.weight[..., 0, 0]
        inner = weights[1].sum((2, 3)) @ _bias(first) + _bias(second)
        bias = weights[2][..., 0, 0] @ inner + _bias(third) + _bias(self.sk)
        whole = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, device=kernel.device, dtype=kernel.dtype)
        whole.weight.copy_(kernel)
        cast("Tensor", whole.bias).copy_(bias)
        return whole.requires_grad_(False)


class FusedConv(nn.Module):
    """The same convolution in one, under the name that files give it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.eval_conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W) of (B, inputs, H, W)."""
        return cast("Tensor", self.eval_conv(x))


class Attention(nn.Module):
    """Three convolutions whose result weighs itself."""

    def __init__(self, config: SpanConfig) -> None:
        super().__init__()
        for name in ("c1_r", "c2_r", "c3_r"):
            setattr(self, name, _convolution(config, config.channels, config.channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, C, H, W) and those after the first convolution."""
        first = functional.silu(cast("nn.Module", self.c1_r)(x))
        third = cast("nn.Module", self.c3_r)(functional.silu(cast("nn.Module", self.c2_r)(first)))
        return (third + x) * (torch.sigmoid(third) - 0.5), first


class Span(nn.Module):
    """Make pictures (B, C, H, W) in [0, 1] larger by the factor `config.scale`."""

    def __init__(self, config: SpanConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        if not config.normalised:
            self.register_buffer("no_norm", torch.zeros(1))  # how a file tells it
        self.conv_1 = _convolution(config, config.in_channels, channels)
        for index in range(1, BLOCKS + 1):
            setattr(self, f"block_{index}", Attention(config))
        self.conv_cat = nn.Conv2d(channels * 4, channels, 1)
        self.conv_2 = _convolution(config, channels, channels)
        self.upsampler = nn.ModuleList([nn.Conv2d(channels, config.out_channels * config.scale**2, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures (B, C, H * scale, W * scale)."""
        if self.config.normalised:
            mean = x.new_tensor(MEAN if x.shape[1] == len(MEAN) else (sum(MEAN) / len(MEAN),) * x.shape[1])
            x = (x - mean[:, None, None]) * LEVELS
        first = self.conv_1(x)
        after, inner, features = [], first, first
        for index in range(1, BLOCKS + 1):
            features, inner = cast("nn.Module", getattr(self, f"block_{index}"))(features)
            after.append((features, inner))
        last = self.conv_2(features)
        # The sixth block's first stage stands for the fifth block, as the authors have it.
        joined = self.conv_cat(torch.cat([first, last, after[0][0], inner], dim=1))
        return functional.pixel_shuffle(self.upsampler[0](joined), self.config.scale)

    def fuse(self) -> None:
        """Put one convolution in the place of each staged one: the same result in a fraction of the time."""
        for owner in list(self.modules()):
            for name, child in list(owner.named_children()):
                if isinstance(child, StagedConv):
                    setattr(owner, name, child.fused())


def _convolution(config: SpanConfig, inputs: int, outputs: int) -> nn.Module:
    return FusedConv(inputs, outputs) if config.fused else StagedConv(inputs, outputs, config.gain)


def _bias(convolution: nn.Conv2d) -> Tensor:
    return cast("Tensor", convolution.bias)
