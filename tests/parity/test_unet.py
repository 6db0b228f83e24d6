"""The UNet against diffusers' on the same random weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers")
single_file = pytest.importorskip("diffusers.loaders.single_file_utils")

CONFIG = UNetConfig(
    channels=32, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(1, 0), context_dim=24, heads=2
)


def random_unet(config: UNetConfig) -> UNet:
    torch.manual_seed(0)
    network = UNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
    return network


def reference(network: UNet, **options: object) -> torch.nn.Module:
    config = network.config
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in config.transformer_depths]
    up = ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(config.transformer_depths)]
    heads = tuple(config.heads_at(width) for width in config.widths)
    model = diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=config.widths,
        layers_per_block=config.res_blocks,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        cross_attention_dim=config.context_dim,
        attention_head_dim=heads,
        use_linear_projection=config.linear_projection,
        transformer_layers_per_block=tuple(max(depth, 1) for depth in config.transformer_depths),
        norm_num_groups=config.groups,
        **options,
    ).eval()
    ldm = {f"model.diffusion_model.{key}": value for key, value in network.state_dict().items()}
    converted = single_file.convert_ldm_unet_checkpoint(ldm, config=dict(model.config))
    model.load_state_dict(converted, strict=True)
    return model  # type: ignore[no-any-return]


def inputs(height: int, width: int, context_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, height, width, generator=generator)
    context = torch.randn(2, 7, context_dim, generator=generator)
    return x, torch.tensor([3.25, 981.0]), context


@pytest.mark.parametrize("size", [(16, 16), (15, 13), (9, 24)])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        UNetConfig(
            channels=32,
            channel_multipliers=(1, 2, 4),
            res_blocks=2,
            transformer_depths=(0, 1, 2),
            middle_depth=2,
            context_dim=24,
            head_dim=16,
            linear_projection=True,
            groups=16,
        ),
    ],
    ids=["fixed heads, convolutions", "head size, linear, deeper"],
)
@torch.no_grad()
def test_predicts_what_diffusers_predicts(config: UNetConfig, size: tuple[int, int]) -> None:
    network = random_unet(config)
    x, timestep, context = inputs(*size, config.context_dim)
    expected = reference(network)(x, timestep, context).sample
    got = network(x, timestep, context)
    assert got.shape == expected.shape
    assert got.abs().max() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_memory_format_does_not_change_the_prediction() -> None:
    network = random_unet(CONFIG)
    x, timestep, context = inputs(15, 13, CONFIG.context_dim)
    plain = network(x, timestep, context)
    strided = network.to(memory_format=torch.channels_last)(  # type: ignore[call-overload]
        x.to(memory_format=torch.channels_last), timestep, context
    )
    torch.testing.assert_close(strided, plain, rtol=1e-4, atol=1e-4)
