"""The UNet of latent diffusion (Rombach et al. 2022); attributes carry the names of LDM's checkpoints."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.configs import UNetConfig

__all__ = ["UNet", "UNetConfig", "sinusoid"]


def sinusoid(timestep: Tensor, dim: int) -> Tensor:
    """Embed timesteps (B,), fractional ones too, as [cos, sin] waves (B, dim) in float32 (Ho et al. 2020)."""
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angles = timestep.float()[:, None] * torch.exp(steps * (-math.log(10000.0) / half))  # (B, half)
    waves = torch.cat((angles.cos(), angles.sin()), dim=-1)
    return F.pad(waves, (0, dim % 2))


def zero(module: nn.Conv2d | nn.Linear) -> nn.Module:
    """Start a layer at zero, so that the branch that it ends starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ResBlock(nn.Module):
    """Two convolutions around the time embedding, added to the input."""

    def __init__(self, width: int, out_width: int, time_width: int, groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, out_width, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_width, out_width))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_width),
            nn.SiLU(),
            nn.Identity(),
            zero(nn.Conv2d(out_width, out_width, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if width == out_width else nn.Conv2d(width, out_width, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map x (B, C, H, W) and time (B, 4 * channels) to (B, out, H, W)."""
        h = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)  # type: ignore[no-any-return]


class Mix(nn.Module):
    """What attention does with its projections; a place of its own, so that options of a model can act on it."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map q (B, heads, N, C), k and v (B, heads, T, C) to (B, heads, N, C)."""
        return F.scaled_dot_product_attention(q, k, v)


class Join(nn.Module):
    """Where features on the way up meet those kept from the way down; a place of its own, as `Mix` is."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, C, H, W) and (B, D, H, W) to (B, C + D, H, W)."""
        return torch.cat((x, skip), dim=1)


class Attention(nn.Module):
    """Multi-head attention of tokens to a context, or to themselves."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))
        self.mix = Mix()

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map tokens (B, N, C) and context (B, T, D) to (B, N, C)."""
        q, k, v = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N or T, C / heads)
            for projected in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        mixed = self.mix(q, k, v)
        return self.to_out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Geglu(nn.Module):
    """Gate a projection by the GELU of another (Shazeer 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, inner * 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N, inner)."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """The token-wise network of a transformer block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(Geglu(width, width * 4), nn.Identity(), nn.Linear(width * 4, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N, C)."""
        return self.net(x)  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """Self-attention, attention to the context, feed-forward; each normed before and added."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.attn1 = Attention(width, width, heads)
        self.attn2 = Attention(width, context_width, heads)
        self.ff = FeedForward(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map tokens (B, N, C) and context (B, T, D) to (B, N, C)."""
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))  # type: ignore[no-any-return]


class SpatialTransformer(nn.Module):
    """Transformer blocks over the cells of a feature map."""

    def __init__(self, width: int, depth: int, config: UNetConfig) -> None:
        super().__init__()
        self.linear = config.linear_projection
        self.norm = nn.GroupNorm(config.groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width) if self.linear else nn.Conv2d(width, width, 1)
        heads = config.heads_at(width)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(width, config.context_dim, heads) for _ in range(depth)
        )
        self.proj_out = zero(nn.Linear(width, width) if self.linear else nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x (B, C, H, W) and context (B, T, D) to (B, C, H, W)."""
        h = self.norm(x)
        if not self.linear:
            h = self.proj_in(h)
        h = h.flatten(2).transpose(1, 2)  # (B, H * W, C): a view where x is channels_last
        if self.linear:
            h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context)
        if self.linear:
            h = self.proj_out(h)
        h = h.transpose(1, 2).reshape(x.shape)
        if not self.linear:
            h = self.proj_out(h)
        return x + h  # type: ignore[no-any-return]


class Downsample(nn.Module):
    """Halve the sides by a strided convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2))."""
        return self.op(x)  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Grow to a given size by nearest neighbours and a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (B, C, h, w) to (B, C, H, W) where `size` is (H, W), odd or even."""
        return self.conv(F.interpolate(x, size=size, mode="nearest"))  # type: ignore[no-any-return]


class Block(nn.ModuleList):
    """Layers that share one number in the checkpoint, each given what it asks for."""

    def forward(self, x: Tensor, time: Tensor, context: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Run the layers; `size` (H, W) is where an upsampling layer goes to."""
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, time)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            elif isinstance(layer, Upsample):
                x = layer(x, size)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Predict noise (or velocity) in a latent from its timestep and a text context."""

    repeated = (TransformerBlock,)
    """The kinds of blocks that are worth compiling."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        time_width = config.channels * 4
        self.time_embed = nn.Sequential(
            nn.Linear(config.channels, time_width), nn.SiLU(), nn.Linear(time_width, time_width)
        )
        self.input_blocks, skips = self._input_blocks(config)
        self.middle_block = self._middle_block(config)
        self.output_blocks = self._output_blocks(config, skips)
        self.join = Join()
        self.out = nn.Sequential(
            nn.GroupNorm(config.groups, config.widths[0]),
            nn.SiLU(),
            zero(nn.Conv2d(config.widths[0], config.out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        """Map x (B, in, H, W), timestep (B,) in 0 to 999 and context (B, T, D) to (B, out, H, W)."""
        x = x.to(memory_format=torch.channels_last)  # tokens are then views of feature maps, and convolutions fast
        time = self.time_embed(sinusoid(timestep, self.config.channels).to(x.dtype))  # (B, 4 * channels)
        skips: list[Tensor] = []
        for block in self.input_blocks:
            x = block(x, time, context)
            skips.append(x)
        x = self.middle_block(x, time, context)
        for block in self.output_blocks:
            x = self.join(x, skips.pop())
            size = skips[-1].shape[2:] if skips else x.shape[2:]
            x = block(x, time, context, size)
        return self.out(x)  # type: ignore[no-any-return]

    @staticmethod
    def _layers(width: int, out_width: int, depth: int, config: UNetConfig) -> list[nn.Module]:
        layers: list[nn.Module] = [ResBlock(width, out_width, config.channels * 4, config.groups)]
        if depth:
            layers.append(SpatialTransformer(out_width, depth, config))
        return layers

    @classmethod
    def _input_blocks(cls, config: UNetConfig) -> tuple[nn.ModuleList, list[int]]:
        width = config.channels
        blocks = nn.ModuleList([Block([nn.Conv2d(config.in_channels, width, 3, padding=1)])])
        skips = [width]
        for level, (out_width, depth) in enumerate(zip(config.widths, config.transformer_depths, strict=True)):
            for _ in range(config.res_blocks):
                blocks.append(Block(cls._layers(width, out_width, depth, config)))
                skips.append(width := out_width)
            if level < len(config.widths) - 1:
                blocks.append(Block([Downsample(width)]))
                skips.append(width)
        return blocks, skips

    @classmethod
    def _middle_block(cls, config: UNetConfig) -> Block:
        width = config.widths[-1]
        return Block([*cls._layers(width, width, config.middle_depth, config), *cls._layers(width, width, 0, config)])

    @classmethod
    def _output_blocks(cls, config: UNetConfig, skips: list[int]) -> nn.ModuleList:
        width = config.widths[-1]
        blocks = nn.ModuleList()
        for level in reversed(range(len(config.widths))):
            out_width, depth = config.widths[level], config.transformer_depths[level]
            for index in range(config.res_blocks + 1):
                layers = cls._layers(width + skips.pop(), out_width, depth, config)
                width = out_width
                if level and index == config.res_blocks:
                    layers.append(Upsample(width))
                blocks.append(Block(layers))
        return blocks
