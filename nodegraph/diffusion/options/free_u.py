"""FreeU (Si et al. 2023): features on the way up are made stronger, low frequencies of the kept ones weaker."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.options.places import unet
from nodegraph.diffusion.options.scene import Scene

LOWEST = ((0, 0), (0, -1), (-1, 0), (-1, -1))
"""The frequencies, in cycles a side, that count as low: those at and just before the centre of the spectrum."""


@dataclass(frozen=True)
class FreeU:
    """Scale the first half of the features by `b`, and the low frequencies of the kept ones by `s`.

    The first pair holds where features are 4 times as wide as at full resolution, the second where they are 2 times.
    By `structure` the strength follows the mean over channels at each place (the paper's equation 4), between 1 where
    it is lowest and `b` where it is highest.
    """

    b1: float
    b2: float
    s1: float
    s2: float
    structure: bool = False
    rank: ClassVar[int] = 0
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        """Act where features join; raise ValueError for a network without those widths."""
        title = "FreeU V2" if self.structure else "FreeU"
        network = unet(scene.module, title)
        channels = network.config.channels
        scales = {channels * 4: (self.b1, self.s1), channels * 2: (self.b2, self.s2)}
        if not scales.keys() & set(network.config.widths):
            raise ValueError(
                f"{title} acts where features are {channels * 4} or {channels * 2} wide; "
                f"those of the model's network are {', '.join(map(str, network.config.widths))} wide"
            )
        scene.before(network.join, partial(self._change, scales))

    def _change(self, scales: dict[int, tuple[float, float]], x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor] | None:
        if x.shape[1] not in scales:
            return None
        strength, low = scales[x.shape[1]]
        return self._stronger(x, strength), scaled_low(skip, low)

    def _stronger(self, x: Tensor, strength: float) -> Tensor:
        if strength == 1.0:
            return x
        half, rest = x.split([x.shape[1] // 2, x.shape[1] - x.shape[1] // 2], dim=1)
        if not self.structure:
            return torch.cat((half * strength, rest), dim=1)
        mean = x.mean(dim=1, keepdim=True)  # (B, 1, H, W)
        lowest, highest = mean.amin((2, 3), keepdim=True), mean.amax((2, 3), keepdim=True)
        share = (mean - lowest) / (highest - lowest).clamp(min=torch.finfo(mean.dtype).tiny)
        return torch.cat((half * (share * (strength - 1) + 1), rest), dim=1)


def scaled_low(x: Tensor, scale: float) -> Tensor:
    """Return maps (B, C, H, W) whose lowest frequencies are scaled, as the real part of the inverse transform.

    So few frequencies are added by two products with their waves, without a transform of the whole.
    """
    if scale == 1.0:
        return x
    waves = _waves(x.shape[-2], x.shape[-1], x.device)  # (H * W, 8 or fewer), of unit length
    flat = x.float().flatten(2)  # (B, C, H * W)
    low = (flat @ waves) @ waves.T
    return (flat + low * (scale - 1)).to(x.dtype).view(x.shape)


@lru_cache(maxsize=32)
def _waves(height: int, width: int, device: torch.device) -> Tensor:
    """Return the cosines and sines of the lowest frequencies over a map, divided by the root of its cells."""
    rows, columns = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)[None]
    wanted = {(row % height, column % width): (row, column) for row, column in LOWEST}  # one of a single row has fewer
    angles = [
        2 * math.pi * (rows * row / height + columns * column / width).flatten() for row, column in wanted.values()
    ]
    waves = torch.stack([part for angle in angles for part in (angle.cos(), angle.sin())], dim=1)
    return waves.float() / math.sqrt(height * width)
