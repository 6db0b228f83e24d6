"""Adapter files written out by hand, and the shapes of tiny networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig

Write = Callable[..., Path]
Shapes = dict[str, dict[str, tuple[int, ...]]]

UNET = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=2, transformer_depths=(1, 0), context_dim=24, heads=4, groups=8
)
CLIP = ClipTextConfig(vocabulary=100, width=24, layers=2, heads=4, mlp_width=64, end_token=98)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes tensors as a safetensors file."""

    def write(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, name: str = "a") -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, dict(metadata or {}))
        return path

    return write


@pytest.fixture(scope="session")
def shapes() -> Shapes:
    """Return the shapes of a tiny UNet and text encoder."""
    with torch.device("meta"):
        parts = {"unet": UNet(UNET), "clip": ClipText(CLIP)}
    return {part: {name: tuple(t.shape) for name, t in net.state_dict().items()} for part, net in parts.items()}
