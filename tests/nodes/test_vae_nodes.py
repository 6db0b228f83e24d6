"""VAEEncode and VAEDecode, called as the functions that they are."""

from __future__ import annotations

import pytest
import torch

from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Image, Latent, Origin
from nodegraph.nodes.vae import vae_decode, vae_encode


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_become_latents_and_pictures_again(tiny: Loaded, channels: int) -> None:
    latent = vae_encode(Image(torch.rand(2, 20, 33, channels)), tiny.vae)
    assert latent.samples.shape == (2, 4, 2, 4)
    picture = vae_decode(latent, tiny.vae)
    assert picture.pixels.shape == (2, 16, 32, 3)
    assert picture.pixels.std() > 0


def test_a_decoded_picture_knows_what_it_was_drawn_from(tiny: Loaded) -> None:
    origins = (Origin(7, 0), Origin(7, 1))
    assert vae_decode(Latent(torch.randn(2, 4, 1, 1), origins=origins), tiny.vae).origins == origins


def test_what_does_not_fit_is_told(tiny: Loaded) -> None:
    with pytest.raises(ValueError, match="at least 8 pixels a side"):
        vae_encode(Image(torch.rand(1, 7, 64, 3)), tiny.vae)
    with pytest.raises(ValueError, match="have 3 channels, but this autoencoder takes 4"):
        vae_decode(Latent(torch.zeros(1, 3, 8, 8)), tiny.vae)
