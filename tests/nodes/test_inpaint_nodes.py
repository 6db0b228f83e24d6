"""Nodes for inpainting and for pictures changed by instruction, called as the functions that they are."""

from __future__ import annotations

import math

import pytest
import torch

from nodegraph import Cancelled, Context
from nodegraph.diffusion.autoencoding import encode
from nodegraph.diffusion.inpainting import LATENT, MASK, masked
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, Image, Mask
from nodegraph.engine.context import CancelToken
from nodegraph.nodes import inpaint as nodes
from nodegraph.nodes.image_sizes import image_pad_for_outpaint

PROMPT = Conditioning((ConditioningEntry(torch.zeros(1, 77, 16)),))


def picture(batch: int = 1, height: int = 36, width: int = 43) -> Image:
    return Image(torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(0)))


def box() -> Mask:
    values = torch.zeros(1, 36, 43)
    values[:, 10:20, 12:30] = 1.0
    return Mask(values)


def test_the_masked_part_is_grey_and_the_mask_is_grown(tiny: Loaded) -> None:
    latent = nodes.vae_encode_for_inpaint(Context(), picture(), tiny.vae, box(), 6)
    grey = picture().pixels.clone()
    grey[:, 10:20, 12:30] = 0.5
    assert torch.allclose(latent.samples, encode(tiny.vae, grey), atol=1e-5)
    assert latent.noise_mask is not None
    assert latent.noise_mask.shape == (1, 32, 40)  # cut by 2 rows and 1 column at the start
    rows, columns = (latent.noise_mask[0].amax(dim).nonzero().flatten().tolist() for dim in (1, 0))
    assert rows == list(range(10 - 2 - 2, 20 - 2 + 3))
    assert columns == list(range(12 - 1 - 2, 30 - 1 + 3))


def test_a_mask_that_is_not_grown_is_rounded(tiny: Loaded) -> None:
    latent = nodes.vae_encode_for_inpaint(Context(), picture(), tiny.vae, Mask(box().values * 0.6), 0)
    assert latent.noise_mask is not None
    assert latent.noise_mask.unique().tolist() == [0.0, 1.0]
    assert latent.noise_mask.sum().item() == 10 * 18


def test_a_mask_of_another_size_is_brought_to_the_pictures(tiny: Loaded) -> None:
    parts = masked(tiny.vae, picture(2).pixels, torch.ones(1, 9, 9))
    assert parts.mask.shape == (1, 32, 40)
    assert parts.hidden.unique().tolist() == [0.5]
    cycled = masked(tiny.vae, picture(3).pixels, torch.stack([torch.zeros(8, 8), torch.ones(8, 8)]))
    assert cycled.mask.mean((1, 2)).tolist() == [0, 1, 0]


def test_an_inpainting_model_is_shown_the_picture_and_the_mask(tiny: Loaded) -> None:
    given = nodes.inpaint_model_conditioning(Context(), PROMPT, PROMPT, tiny.vae, picture(), box())
    parts = masked(tiny.vae, picture().pixels, box().values)
    for side in (given.positive, given.negative):
        extras = side.entries[0].extras
        assert torch.allclose(extras[LATENT], encode(tiny.vae, parts.hidden), atol=1e-5)
        assert torch.equal(extras[MASK][:, 0], parts.mask)
    assert torch.allclose(given.latent.samples, encode(tiny.vae, picture().pixels), atol=1e-5)
    assert given.latent.noise_mask is not None
    without = nodes.inpaint_model_conditioning(Context(), PROMPT, PROMPT, tiny.vae, picture(), box(), False)
    assert without.latent.noise_mask is None
    assert not PROMPT.entries[0].extras, "the input is left alone"


def test_instruct_pix2pix_is_shown_the_picture_and_begins_with_nothing(tiny: Loaded) -> None:
    given = nodes.instruct_pix_to_pix_conditioning(Context(), PROMPT, PROMPT, tiny.vae, picture())
    assert torch.allclose(given.positive.entries[0].extras[LATENT], encode(tiny.vae, picture().pixels), atol=1e-5)
    assert given.latent.samples.shape == (1, 4, 4, 5)
    assert not given.latent.samples.any()


def test_a_cancel_is_seen_while_encoding(tiny: Loaded) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        nodes.vae_encode_for_inpaint(Context(cancel=token), picture(), tiny.vae, box())


def test_room_for_outpainting_is_made_and_marked() -> None:
    padded = image_pad_for_outpaint(picture(2, 16, 24), left=8, bottom=16, feathering=2)
    assert padded.image.pixels.shape == (2, 32, 32, 3)
    assert padded.mask.values.shape == (1, 32, 32)
    assert padded.mask.values[0, 20, 20].item() == 1.0
    assert padded.mask.values[0, 4, 20].item() == 0.0
    assert math.isclose(padded.mask.values[0, 4, 9].item(), 0.25)
