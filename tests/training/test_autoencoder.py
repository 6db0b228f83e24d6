"""The autoencoder's loss, and latents made white without changing what is decoded."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig, Posterior
from nodegraph.training.autoencoder import (
    ReconstructionConfig,
    crops,
    kl_divergence,
    psnr,
    reconstruction_loss,
    start_weights,
    to_tensor,
    whiten,
)
from nodegraph.training.latents import cached_scenes, draw_scenes, encode_scenes, preview_colors, scaled
from nodegraph.training.loop import Draws
from nodegraph.training.scenes import render

TINY = AutoencoderConfig(channels=4, channel_multipliers=(1, 1, 1, 2), res_blocks=1, groups=2)


@pytest.fixture
def autoencoder() -> Autoencoder:
    network = Autoencoder(TINY)
    start_weights(network, torch.Generator().manual_seed(0))
    return network


def test_divergence_from_the_unit_gaussian_by_hand() -> None:
    assert kl_divergence(Posterior(torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1))).item() == 0
    posterior = Posterior(torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), math.log(0.25)))
    assert kl_divergence(posterior).item() == pytest.approx(0.5 * (4 + 0.25 - 1 - math.log(0.25)))


def test_loss_adds_absolute_squared_edge_and_divergence_terms(autoencoder: Autoencoder) -> None:
    torch.nn.init.zeros_(autoencoder.decoder.conv_out.weight)  # decodes to 0 everywhere
    images = torch.zeros(1, 3, 16, 16)
    images[..., 8:] = 0.5
    posterior = autoencoder.encode(images)
    loss = reconstruction_loss(autoencoder, images, ReconstructionConfig(edges=0.3, kl=0.01), torch.zeros(1, 4, 2, 2))
    expected = 0.25 + 0.125 + 0.3 * 0.5 / 15 + 0.01 * kl_divergence(posterior).item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_starting_weights_keep_colours_alive(autoencoder: Autoencoder) -> None:
    images = to_tensor(np.stack([np.full((16, 16, 3), value, np.uint8) for value in (0, 255)]))
    posterior = autoencoder.encode(images)
    assert (posterior.mean[0] - posterior.mean[1]).abs().mean().item() > 0.1
    assert posterior.logvar.mean().item() < -3


def test_crops_are_pictures_about_objects_and_repeat() -> None:
    config = ReconstructionConfig(batch=6, crop=48)
    drawn = crops(Draws.of(0, 0), config)
    assert drawn.shape == (6, 3, 48, 48)
    assert drawn.min().item() >= -1
    assert drawn.max().item() <= 1
    assert all(picture.std(dim=(1, 2)).max().item() > 0.05 for picture in drawn)
    assert torch.equal(drawn, crops(Draws.of(0, 0), config))


def test_whitening_gives_unit_latents_and_the_same_pictures(autoencoder: Autoencoder) -> None:
    scenes = draw_scenes(24, 0)
    latents = encode_scenes(autoencoder, scenes, 0)
    before = autoencoder.decode(latents)
    whiten(autoencoder, latents)
    white = encode_scenes(autoencoder, scenes, 0)
    flat = scaled(autoencoder, white).movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(flat.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(flat.T.cov(), torch.eye(4), atol=1e-2, rtol=0)
    torch.testing.assert_close(autoencoder.decode(white), before, atol=1e-3, rtol=1e-3)


def test_colours_of_previews_are_the_best_that_sums_of_channels_give(autoencoder: Autoencoder) -> None:
    scenes = draw_scenes(12, 0)
    colors = preview_colors(autoencoder, scenes, 0, batch=5)
    assert len(colors) == 5
    seen = scaled(autoencoder, encode_scenes(autoencoder, scenes, 0)).movedim(1, -1)
    *channels, base = torch.tensor(colors)
    rng = np.random.default_rng((0, 1))
    pictures = to_tensor(np.stack([render(scene, rng) for scene in scenes]))
    shown = torch.nn.functional.avg_pool2d(pictures, autoencoder.config.downscale).movedim(1, -1)
    left = shown - (seen @ torch.stack(channels) + base)
    assert left.square().mean() < 0.9 * shown.var(dim=(0, 1, 2)).mean()
    for channel in range(4):  # what is left over is none of any channel's
        share = (left * seen[..., channel, None]).mean((0, 1, 2)) / seen[..., channel].square().mean()
        torch.testing.assert_close(share, torch.zeros(3), atol=5e-3, rtol=0)


def test_signal_to_noise_of_a_known_error(autoencoder: Autoencoder) -> None:
    torch.nn.init.zeros_(autoencoder.decoder.conv_out.weight)
    assert psnr(autoencoder, torch.full((1, 3, 16, 16), 0.2)) == pytest.approx(20, abs=1e-4)


def test_cached_latents_are_read_again_and_a_wrong_count_is_refused(autoencoder: Autoencoder, tmp_path: Path) -> None:
    path = tmp_path / "latents.pt"
    first = cached_scenes(autoencoder, 5, 1, path)
    assert first.latents.shape == (5, 4, 16, 16)
    start_weights(autoencoder, torch.Generator().manual_seed(9))
    assert torch.equal(cached_scenes(autoencoder, 5, 1, path).latents, first.latents)
    with pytest.raises(ValueError, match="holds 5 latents, expected 6"):
        cached_scenes(autoencoder, 6, 1, path)
