"""A tiny network in a file, and changes to put on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.save import write_file
from nodegraph.diffusion.weights.store import FileWeights

CONFIG = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=24, heads=4, groups=8
)
Draw = Callable[[nn.Module], Tensor]


def write(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = UNet(CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
    write_file(path, {name: tensor.detach() for name, tensor in network.state_dict().items()}, {})
    return path


def blueprint(path: Path, dtype: torch.dtype = torch.float32) -> Blueprint:
    weights = FileWeights(read_header(path).tensors)
    return Blueprint(lambda: UNet(CONFIG), weights, torch.device("cpu"), dtype, path.name)


@pytest.fixture
def stored(tmp_path: Path) -> Blueprint:
    """Return a tiny UNet, stored in fp32."""
    return blueprint(write(tmp_path / "tiny.safetensors"))


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Return a function that runs a network on fixed inputs."""
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 8, 8, generator=draws), torch.randn(2, 5, 24, generator=draws)

    @torch.no_grad()
    def run(network: nn.Module) -> Tensor:
        dtype = next(network.parameters()).dtype
        result: Tensor = network(x.to(dtype), torch.tensor([3.0, 500.0]), context=context.to(dtype))
        return result.float()

    return run


@dataclass(frozen=True)
class LowRank:
    """Adds a product of two small matrices."""

    up: Tensor
    down: Tensor

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        return weight + strength * (self.up.flatten(1) @ self.down.flatten(1)).reshape(weight.shape)

    def factors(self, strength: float) -> tuple[Tensor, Tensor] | None:
        return strength * self.up, self.down


@dataclass(frozen=True)
class Full:
    """Adds a tensor."""

    difference: Tensor

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        return weight + strength * self.difference

    def factors(self, strength: float) -> tuple[Tensor, Tensor] | None:
        return None


def low_rank(shape: tuple[int, ...], seed: int, rank: int = 3) -> LowRank:
    draws = torch.Generator().manual_seed(seed)
    up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=draws)
    return LowRank(up * 0.1, torch.randn(rank, *shape[1:], generator=draws) * 0.1)
