"""VAEEncode and VAEDecode, called as the functions that they are."""

from __future__ import annotations

import pytest
import torch

from nodegraph import Cancelled, Context
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Image, Latent, Origin
from nodegraph.engine.errors import StrictError
from nodegraph.engine.events import Event, Warned
from nodegraph.nodes.conditioning import clip_text_encode
from nodegraph.nodes.vae import vae_decode, vae_encode


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_become_latents_and_pictures_again(tiny: Loaded, channels: int) -> None:
    latent = vae_encode(Context(), Image(torch.rand(2, 20, 33, channels)), tiny.vae)
    assert latent.samples.shape == (2, 4, 2, 4)
    picture = vae_decode(Context(), latent, tiny.vae)
    assert picture.pixels.shape == (2, 16, 32, 3)
    assert picture.pixels.std() > 0


def test_a_decoded_picture_knows_what_it_was_drawn_from(tiny: Loaded) -> None:
    origins = (Origin(7, 0), Origin(7, 1))
    assert vae_decode(Context(), Latent(torch.randn(2, 4, 1, 1), origins=origins), tiny.vae).origins == origins


def test_what_does_not_fit_is_told(tiny: Loaded) -> None:
    with pytest.raises(ValueError, match="at least 8 pixels a side"):
        vae_encode(Context(), Image(torch.rand(1, 7, 64, 3)), tiny.vae)
    with pytest.raises(ValueError, match="have 3 channels, but this autoencoder takes 4"):
        vae_decode(Context(), Latent(torch.zeros(1, 3, 8, 8)), tiny.vae)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_latents_that_are_no_numbers_make_no_picture_that_looks_sound(tiny: Loaded, value: float) -> None:
    samples = torch.randn(2, 4, 2, 2)
    samples[1, 0, 0, 0] = value
    told: list[Event] = []
    picture = vae_decode(Context("decode", emit=told.append), Latent(samples), tiny.vae)
    assert picture.pixels[0].isfinite().all()
    assert picture.pixels[1].isnan().any()
    assert [event.message[:26] for event in told if isinstance(event, Warned)] == ["picture 2 of 2 is damaged:"]
    with pytest.raises(StrictError):
        vae_decode(Context(strict=True), Latent(samples), tiny.vae)


@pytest.mark.parametrize("size", [8, 24])
def test_a_cancel_is_seen_within_a_picture(tiny: Loaded, size: int) -> None:
    context = Looking(stop_at=5)
    with pytest.raises(Cancelled):
        vae_decode(context, Latent(torch.randn(1, 4, size, size)), tiny.vae)
    assert context.looks == 5
    with pytest.raises(Cancelled):
        vae_encode(Looking(stop_at=3), Image(torch.rand(1, 8 * size, 8 * size, 3)), tiny.vae)


def test_a_cancel_is_seen_within_the_text_encoder(tiny: Loaded) -> None:
    with pytest.raises(Cancelled):
        clip_text_encode(Looking(stop_at=2), "a red circle", tiny.clip)


class Looking(Context):
    """A run that is cancelled when a node has looked a number of times."""

    def __init__(self, stop_at: int) -> None:
        super().__init__("here")
        self.looks, self.stop_at = 0, stop_at

    def check_cancelled(self) -> None:
        self.looks += 1
        if self.looks == self.stop_at:
            raise Cancelled("the run was cancelled")
