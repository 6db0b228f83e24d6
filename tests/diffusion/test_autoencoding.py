"""Pictures to latents and back, against the network called directly."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from nodegraph.diffusion.autoencoding import decode, encode
from nodegraph.diffusion.models.configs import AutoencoderConfig
from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.values import Placed, Vae


@pytest.fixture(scope="module")
def network() -> Autoencoder:
    """Return an autoencoder with cells of 4 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(AutoencoderConfig(3, 4, 8, (1, 1, 2), 1, groups=4))


def vae_of(network: Autoencoder) -> Vae:
    return Vae(Placed(network), downscale=4)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_there_and_back_is_the_network_called_directly(network: Autoencoder) -> None:
    pixels = noise(3, 12, 8, 3)
    with torch.no_grad():
        latents = network.encode(pixels.movedim(-1, 1) * 2 - 1).mode()
        again = (network.decode(latents) / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    samples = encode(vae_of(network), pixels)
    assert samples.shape == (3, 4, 3, 2)
    assert torch.allclose(samples, latents, atol=1e-5)
    assert torch.allclose(decode(vae_of(network), samples), again, atol=1e-5)


def test_grey_is_spread_and_alpha_is_left_out(network: Autoencoder) -> None:
    grey, colours = noise(1, 8, 8, 1), noise(1, 8, 8, 4)
    assert torch.equal(encode(vae_of(network), grey), encode(vae_of(network), grey.repeat(1, 1, 1, 3)))
    assert torch.equal(encode(vae_of(network), colours), encode(vae_of(network), colours[..., :3]))


def test_odd_sides_are_cut_at_the_middle(network: Autoencoder) -> None:
    pixels = noise(1, 11, 14, 3)
    assert torch.equal(encode(vae_of(network), pixels), encode(vae_of(network), pixels[:, 1:9, 1:13]))


def test_a_picture_smaller_than_a_cell_is_refused(network: Autoencoder) -> None:
    with pytest.raises(ValueError, match=r"a picture of \(3, 8\) is too small: expected at least 4 pixels a side"):
        encode(vae_of(network), noise(1, 3, 8, 3))


def test_latents_of_another_autoencoder_are_refused(network: Autoencoder) -> None:
    with pytest.raises(ValueError, match="the latents have 16 channels, but this autoencoder takes 4"):
        decode(vae_of(network), noise(1, 16, 2, 2))


def test_no_pictures_are_no_latents_and_back(network: Autoencoder) -> None:
    assert encode(vae_of(network), noise(0, 8, 8, 3)).shape == (0, 4, 2, 2)
    assert decode(vae_of(network), noise(0, 4, 2, 2)).shape == (0, 8, 8, 3)


def test_results_are_plain_contiguous_float32(network: Autoencoder) -> None:
    vae = vae_of(deepcopy(network).to(torch.bfloat16))
    for result in (encode(vae, noise(2, 8, 8, 3)), decode(vae, noise(2, 4, 2, 2))):
        assert result.dtype == torch.float32
        assert result.is_contiguous()
        assert not result.is_inference()
