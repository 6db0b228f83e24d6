"""Configurations of upscaling networks: plain values, so that a file can be judged without loading torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RrdbConfig:
    """Say how an ESRGAN network is built; `shuffle` packs so many pixels a side into channels before it begins."""

    in_channels: int = 3
    out_channels: int = 3
    channels: int = 64
    growth: int = 32
    blocks: int = 23
    doublings: int = 2
    """Times that the sides are doubled at the end."""
    shuffle: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes a picture no larger than it was by a whole factor."""
        if (2**self.doublings) % self.shuffle:
            raise ValueError(f"{self.doublings} doublings after packing {self.shuffle} pixels a side: no whole factor")

    @property
    def scale(self) -> int:
        """How many times larger a side becomes."""
        return int(2**self.doublings // self.shuffle)


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """Say how a compact VGG-style network is built."""

    in_channels: int = 3
    out_channels: int = 3
    channels: int = 64
    convolutions: int = 16
    scale: int = 4


@dataclass(frozen=True, slots=True)
class SpanConfig:
    """Say how a SPAN is built; a `fused` one has each convolution's three stages and shortcut in one."""

    in_channels: int = 3
    out_channels: int = 3
    channels: int = 48
    gain: int = 2
    scale: int = 4
    normalised: bool = True
    """Take the mean colour of training off and count in steps of 8 bits."""
    fused: bool = False
