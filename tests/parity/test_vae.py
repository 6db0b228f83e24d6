"""The KL autoencoder against diffusers' on the same random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig

diffusers = pytest.importorskip("diffusers")
single_file = pytest.importorskip("diffusers.loaders.single_file_utils")


def random_autoencoder(config: AutoencoderConfig) -> Autoencoder:
    torch.manual_seed(0)
    network = Autoencoder(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
    return network


def reference(network: Autoencoder) -> Any:
    config = network.config
    levels = len(config.widths)
    model = diffusers.AutoencoderKL(
        block_out_channels=config.widths,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=config.res_blocks,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
        use_quant_conv=config.quant_conv,
        use_post_quant_conv=config.quant_conv,
    ).eval()
    ldm = {f"first_stage_model.{key}": value for key, value in network.state_dict().items()}
    model.load_state_dict(single_file.convert_ldm_vae_checkpoint(ldm, dict(model.config)), strict=True)
    return model


CONFIGS = {
    "like SD1": AutoencoderConfig(channels=32, channel_multipliers=(1, 2), res_blocks=1),
    "three levels, no quant conv": AutoencoderConfig(
        channels=16, channel_multipliers=(1, 2, 2), res_blocks=2, latent_channels=16, quant_conv=False, groups=8
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@torch.no_grad()
def test_encodes_and_decodes_as_diffusers(config: AutoencoderConfig) -> None:
    network = random_autoencoder(config)
    model = reference(network)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 24, 40, generator=generator) * 2 - 1
    expected = model.encode(images).latent_dist
    posterior = network.encode(images)
    assert posterior.mean.abs().max() > 0.01
    torch.testing.assert_close(posterior.mean, expected.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(posterior.logvar, expected.logvar, rtol=1e-4, atol=1e-4)
    z = torch.randn(posterior.mean.shape, generator=generator)
    torch.testing.assert_close(network.decode(z), model.decode(z).sample, rtol=1e-4, atol=1e-4)
