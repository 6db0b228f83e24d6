"""Latent nodes, called as the functions that they are."""

from __future__ import annotations

import pytest
import torch

from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.values import Latent, Mask, Origin
from nodegraph.nodes import latent as nodes


def latent(batch: int = 1, height: int = 8, width: int = 12) -> Latent:
    samples = torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(0))
    return Latent(samples, origins=tuple(Origin(3, index) for index in range(batch)))


def test_an_empty_latent_has_a_cell_for_eight_pixels() -> None:
    empty = nodes.empty_latent_image(96, 64, 2)
    assert empty.samples.shape == (2, 4, 8, 12)
    assert not empty.samples.any()


def test_part_of_a_batch_keeps_its_places_and_its_masks() -> None:
    whole = nodes.set_latent_noise_mask(latent(4), Mask(torch.arange(4.0)[:, None, None].expand(4, 2, 2) / 4))
    part = nodes.latent_from_batch(whole, 1, 2)
    assert part.batch_index == (1, 2)
    assert torch.equal(part.samples, whole.samples[1:3])
    assert part.noise_mask is not None
    assert part.noise_mask[:, 0, 0].tolist() == [0.25, 0.5]
    assert nodes.latent_from_batch(part, 1, 9).batch_index == (2,)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_part_of_a_batch_and_its_copies_keep_the_masks_that_sampling_cycles(rows: int) -> None:
    masks = torch.arange(float(rows))[:, None, None].expand(rows, 2, 2) / 8
    whole = nodes.set_latent_noise_mask(latent(3), Mask(masks))
    held = to_batch(masks, 3)
    part, copies = nodes.latent_from_batch(whole, 1, 2), nodes.repeat_latent_batch(whole, 2)
    assert part.noise_mask is not None
    assert copies.noise_mask is not None
    assert torch.equal(to_batch(part.noise_mask, 2), held[1:3])
    assert torch.equal(to_batch(copies.noise_mask, 6), held.repeat(2, 1, 1))


def test_copies_of_a_part_get_places_of_their_own() -> None:
    part = nodes.latent_from_batch(latent(4), 2, 2)
    assert nodes.repeat_latent_batch(part, 2).batch_index == (2, 3, 4, 5)
    assert nodes.repeat_latent_batch(latent(2), 3).batch_index is None


@pytest.mark.parametrize("turn", ["90 degrees", "180 degrees", "270 degrees"])
def test_turning_back_changes_nothing(turn: str) -> None:
    back = {"90 degrees": "270 degrees", "180 degrees": "180 degrees", "270 degrees": "90 degrees"}[turn]
    turned = nodes.latent_rotate(latent(), turn)
    assert torch.equal(nodes.latent_rotate(turned, back).samples, latent().samples)


def test_ninety_degrees_are_clockwise() -> None:
    corner = torch.zeros(1, 4, 2, 2)
    corner[..., 0, 0] = 1  # top left goes to top right
    turned = nodes.latent_rotate(Latent(corner), "90 degrees")
    assert turned.samples[0, 0].tolist() == [[0, 1], [0, 0]]


def test_a_mask_is_flipped_with_its_latent() -> None:
    mask = torch.zeros(1, 8, 12)
    mask[:, 0] = 1
    flipped = nodes.latent_flip(nodes.set_latent_noise_mask(latent(), Mask(mask)), "x-axis: vertically")
    assert flipped.noise_mask is not None
    assert flipped.noise_mask[0, -1].tolist() == [1.0] * 12
    assert torch.equal(flipped.samples, latent().samples.flip(-2))


def test_sizes_are_given_in_pixels() -> None:
    assert nodes.latent_upscale(latent(), "bilinear", 192, 0).samples.shape == (1, 4, 16, 24)
    assert nodes.latent_upscale_by(latent(), "nearest-exact", 0.5).samples.shape == (1, 4, 4, 6)
    assert nodes.latent_upscale(latent(), "area", 0, 0).samples.shape == (1, 4, 8, 12)


def test_a_centre_crop_cuts_the_mask_too() -> None:
    mask = torch.zeros(1, 64, 96)
    mask[..., 16:80] = 1  # cells 2 to 10 of 12, the middle square
    masked = nodes.set_latent_noise_mask(latent(), Mask(mask))
    cut = nodes.latent_upscale(masked, "bilinear", 128, 128, "center")
    assert cut.samples.shape == (1, 4, 16, 16)
    assert cut.noise_mask is not None
    assert torch.equal(cut.noise_mask, torch.ones(1, 16, 16))
    whole = nodes.latent_upscale(masked, "bilinear", 128, 128)
    assert whole.noise_mask is masked.noise_mask


def test_a_crop_starts_where_it_is_told() -> None:
    cropped = nodes.latent_crop(latent(1, 16, 16), 64, 64, 16, 8)
    assert torch.equal(cropped.samples, latent(1, 16, 16).samples[..., 1:9, 2:10])


@pytest.mark.parametrize("size", [128, 16, 50, 5, 1])
def test_a_crop_takes_the_part_of_the_mask_that_sampling_would(size: int) -> None:
    mask = torch.rand(2, size, size, generator=torch.Generator().manual_seed(0))
    cropped = nodes.latent_crop(nodes.set_latent_noise_mask(latent(2, 16, 16), Mask(mask)), 64, 64, 16, 8)
    assert cropped.noise_mask is not None
    assert torch.equal(cropped.noise_mask, resized_mask(mask, 16, 16)[:, 1:9, 2:10])


def test_an_empty_batch_has_empty_places() -> None:
    assert Latent(torch.zeros(0, 4, 8, 8), batch_index=()).batch_index == ()
