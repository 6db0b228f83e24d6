"""What files are is told right for the networks of the reference libraries, under the names that these give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.collection.identify import identify
from nodegraph.diffusion.weights.layouts.sd1 import SD1
from tests.collection.conftest import header_of

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
}
SMALL_FLUX = {"num_layers": 1, "num_single_layers": 1}


def text(width: int, layers: int = 2) -> Any:
    config = transformers.CLIPTextConfig(hidden_size=width, num_hidden_layers=layers, intermediate_size=64)
    return transformers.CLIPTextModel(config)


def vision(width: int) -> Any:
    config = transformers.CLIPVisionConfig(hidden_size=width, num_hidden_layers=1, num_attention_heads=16)
    return transformers.CLIPVisionModelWithProjection(config)


MODELS: Mapping[str, tuple[Callable[[], Any], tuple[str | None, str, str | None]]] = {
    "SD1 UNet": (
        lambda: diffusers.UNet2DConditionModel(cross_attention_dim=768),
        ("diffusion_models", "denoising network", "Stable Diffusion 1.x"),
    ),
    "SD2 UNet": (
        lambda: diffusers.UNet2DConditionModel(cross_attention_dim=1024, use_linear_projection=True),
        ("diffusion_models", "denoising network", "Stable Diffusion 2.x"),
    ),
    "SDXL UNet": (
        lambda: diffusers.UNet2DConditionModel(**SDXL),
        ("diffusion_models", "denoising network", "SDXL"),
    ),
    "KL autoencoder": (
        lambda: diffusers.AutoencoderKL(
            block_out_channels=(32, 64),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        ("vae", "autoencoder", "Stable Diffusion 1, 2 or XL"),
    ),
    "16 channels": (
        lambda: diffusers.AutoencoderKL(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False),
        ("vae", "autoencoder", "Stable Diffusion 3 or FLUX.1"),
    ),
    "tiny autoencoder": (
        diffusers.AutoencoderTiny,
        ("vae_approx", "tiny autoencoder", "Stable Diffusion 1, 2 or XL"),
    ),
    "tiny autoencoder of 16 channels": (
        lambda: diffusers.AutoencoderTiny(latent_channels=16),
        ("vae_approx", "tiny autoencoder", "Stable Diffusion 3 or FLUX.1"),
    ),
    "CLIP-L": (lambda: text(768), ("text_encoders", "text encoder", "CLIP-L")),
    "OpenCLIP-bigG": (lambda: text(1280), ("text_encoders", "text encoder", "OpenCLIP-bigG")),
    "T5": (
        lambda: transformers.T5EncoderModel(transformers.T5Config(d_model=4096, num_layers=1, d_ff=8, num_heads=1)),
        ("text_encoders", "text encoder", "T5-XXL"),
    ),
    "image encoder": (lambda: vision(1280), ("clip_vision", "image encoder", "OpenCLIP-H")),
    "ControlNet": (
        lambda: diffusers.ControlNetModel(cross_attention_dim=768),
        ("controlnet", "ControlNet", "Stable Diffusion 1.x"),
    ),
    "T2I-Adapter": (diffusers.T2IAdapter, ("controlnet", "T2I-Adapter", None)),
    "SD3": (
        lambda: diffusers.SD3Transformer2DModel(num_layers=1),
        ("diffusion_models", "denoising network", "SD3 or FLUX.1"),
    ),
    "FLUX": (
        lambda: diffusers.FluxTransformer2DModel(**SMALL_FLUX),
        ("diffusion_models", "denoising network", "SD3 or FLUX.1"),
    ),
    "PixArt": (
        lambda: diffusers.PixArtTransformer2DModel(num_layers=1),
        ("diffusion_models", "denoising network", "PixArt"),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_networks_of_the_reference_libraries_are_told(tmp_path: Path, name: str) -> None:
    make, told = MODELS[name]
    with torch.device("meta"):
        network = make()
    head, data = header_of({key: tuple(tensor.shape) for key, tensor in network.state_dict().items()})
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + data)
    found = identify(path, [SD1])
    assert (found.kind, found.what, found.family) == told
    assert found.parameters == sum(tensor.numel() for tensor in network.state_dict().values())
