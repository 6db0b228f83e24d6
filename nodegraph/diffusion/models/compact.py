"""Real-ESRGAN's compact generator (SRVGGNetCompact, Wang et al. 2021): plain convolutions at the small size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.models.upscaling import CompactConfig


class Compact(nn.Module):
    """Make pictures (B, C, H, W) in [0, 1] larger by the factor `config.scale`."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        layers: list[nn.Module] = [nn.Conv2d(config.in_channels, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(config.convolutions):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        layers.append(nn.Conv2d(channels, config.out_channels * config.scale**2, 3, padding=1))
        self.body = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures (B, C, H * scale, W * scale): the nearest pixels and what the network adds to them."""
        features = x
        for layer in self.body:
            features = layer(features)
        scale = self.config.scale
        added = functional.pixel_shuffle(features, scale)
        return added + functional.interpolate(x, scale_factor=float(scale), mode="nearest")
