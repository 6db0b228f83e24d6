"""Tiny models of Stable Diffusion 1.x's layout."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.weights.save import save_checkpoint

UNET = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=24, heads=4, groups=8
)
VAE = AutoencoderConfig(channels=16, channel_multipliers=(1, 2), res_blocks=1, groups=8, scale_factor=0.5)
CLIP = ClipTextConfig(vocabulary=100, width=24, layers=2, heads=4, mlp_width=64, end_token=98)

RawFile = Callable[[object, int], Path]


@pytest.fixture(scope="session")
def networks() -> dict[str, nn.Module]:
    """Return tiny networks by part, with weights that fp16 and bf16 hold exactly."""
    torch.manual_seed(0)
    parts: dict[str, nn.Module] = {"unet": UNet(UNET), "vae": Autoencoder(VAE), "clip": ClipText(CLIP)}
    with torch.no_grad():
        for part in parts.values():
            for parameter in part.parameters():
                parameter.copy_(torch.randint(-8, 9, parameter.shape) / 64)
    return parts


@pytest.fixture(scope="session")
def tensors(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the same weights by the names of a single file."""
    prefixes = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "clip": "cond_stage_model.transformer."}
    return {
        prefixes[name] + key: tensor.detach()
        for name, part in networks.items()
        for key, tensor in part.state_dict().items()
    }


@pytest.fixture
def checkpoint(tmp_path: Path, networks: Mapping[str, nn.Module]) -> Path:
    """Return the path of a tiny checkpoint in fp32."""
    return save_checkpoint(tmp_path / "tiny.safetensors", networks, dtype=torch.float32)


@pytest.fixture
def raw_file(tmp_path: Path) -> RawFile:
    """Return a function that writes a file with any header and so many bytes of data."""

    def write(header: object, size: int) -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / "raw.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
        return path

    return write
