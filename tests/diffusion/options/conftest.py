"""A tiny network to put options on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.options.scene import NetworkOption, staged
from nodegraph.diffusion.sampling.contract import Call
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

CONFIG = UNetConfig(
    channels=8,
    channel_multipliers=(1, 2, 4),
    res_blocks=1,
    transformer_depths=(1, 1, 1),
    context_dim=12,
    heads=2,
    groups=4,
)
Play = Callable[..., Tensor]


@pytest.fixture(scope="module")
def network() -> UNet:
    """Return a UNet of three levels with random weights."""
    torch.manual_seed(0)
    made = UNet(CONFIG).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if ".norm" not in name:
            parameter.normal_(std=0.4 if ".attn" in name else 0.15)
    return made


@pytest.fixture(scope="session")
def play() -> Play:
    """Return a function that calls a network with options on it, for inputs that are the same each time."""

    def call(
        network: nn.Module,
        *options: NetworkOption,
        size: tuple[int, int] = (16, 16),
        sigma: float = 2.0,
        parts: tuple[str, ...] = ("positive", "negative"),
        purpose: str = "",
    ) -> Tensor:
        draws = torch.Generator().manual_seed(1)
        count = len(parts)
        x, context = torch.randn(count, 4, *size, generator=draws), torch.randn(count, 5, 12, generator=draws)
        with staged(network, options, table_of(DiffusionSchedule())) as scene, torch.no_grad():
            scene.stage.call = Call(sigma, tuple((part, None) for part in parts), purpose)
            return scene(x, torch.full((count,), 300.0), context=context)

    return call
