"""Configurations of the networks: plain values, so that a file can be judged without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["quick_gelu", "gelu"]


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Say how a latent-diffusion UNet is built; one entry of the tuples a resolution level, full size first."""

    in_channels: int = 4
    out_channels: int = 4
    channels: int = 320
    channel_multipliers: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    transformer_depths: tuple[int, ...] = (1, 1, 1, 0)
    middle_depth: int = 1
    context_dim: int = 768
    heads: int = 8
    head_dim: int | None = None
    linear_projection: bool = False
    groups: int = 32

    def __post_init__(self) -> None:
        """Refuse widths that do not divide into groups and heads."""
        levels, depths = len(self.channel_multipliers), len(self.transformer_depths)
        if levels != depths:
            raise ValueError(f"transformer_depths has {depths} entries, channel_multipliers {levels}: one a level")
        check_groups(self.channels, self.groups, self.widths)
        depth_of_last = (*self.transformer_depths, self.middle_depth)
        for width, depth in zip((*self.widths, self.widths[-1]), depth_of_last, strict=True):
            share = self.head_dim or self.heads
            if depth and (share < 1 or width % share):
                kind = "head_dim" if self.head_dim else "heads"
                raise ValueError(f"{kind}={share} does not divide the width {width} of a level with attention")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.channels * multiplier for multiplier in self.channel_multipliers)

    def heads_at(self, width: int) -> int:
        """Return the number of attention heads at `width` channels."""
        return width // self.head_dim if self.head_dim else self.heads


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Say how a KL autoencoder is built; diffusion sees `(z - shift_factor) * scale_factor` of its latents.

    `preview_colors`: what of that the channels add to a picture (`values.Colors`); empty: as its family has it.
    """

    image_channels: int = 3
    latent_channels: int = 4
    channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    scale_factor: float = 0.18215
    shift_factor: float = 0.0
    quant_conv: bool = True
    groups: int = 32
    preview_colors: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse widths that do not divide into groups."""
        check_groups(self.channels, self.groups, self.widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.channels * multiplier for multiplier in self.channel_multipliers)

    @property
    def downscale(self) -> int:
        """Pixels per latent cell along one side."""
        return 1 << (len(self.channel_multipliers) - 1)


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """Say how a CLIP text encoder is built; the defaults are CLIP ViT-L/14's.

    `projection` is the width that the pooled vector is projected to, None where it stays as it is.
    """

    vocabulary: int = 49408
    length: int = 77
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    activation: Activation = "quick_gelu"
    end_token: int = 49407
    projection: int | None = None

    def __post_init__(self) -> None:
        """Refuse a width that does not divide into heads and an unknown activation."""
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide the width {self.width}")
        if self.activation not in ("quick_gelu", "gelu"):
            raise ValueError(f"activation={self.activation!r}: expected 'quick_gelu' or 'gelu'")


def check_groups(channels: int, groups: int, widths: tuple[int, ...]) -> None:
    """Raise ValueError unless GroupNorm's `groups` divide every width."""
    if not widths:
        raise ValueError("channel_multipliers is empty: expected one multiplier a level")
    for width in (channels, *widths):
        if groups < 1 or width < 1 or width % groups:
            raise ValueError(f"groups={groups} does not divide the width {width}")


@dataclass(frozen=True, slots=True)
class TaesdConfig:
    """Say how a tiny autoencoder is built, and of which latents it is: it works on `(z - shift) * scale` of them.

    A half that is not there cannot be asked for: one that only decodes is enough for previews.
    """

    latent_channels: int = 4
    channels: int = 64
    scale_factor: float = 0.18215
    shift_factor: float = 0.0
    encodes: bool = True
    decodes: bool = True

    def __post_init__(self) -> None:
        """Refuse one of neither half."""
        if not (self.encodes or self.decodes):
            raise ValueError("a tiny autoencoder without encoder and decoder: expected at least one of them")

    @property
    def downscale(self) -> int:
        """Pixels per latent cell along one side."""
        return 8
