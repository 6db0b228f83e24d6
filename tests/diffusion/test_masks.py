"""Masks combined, grown and spread, against scipy and plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from nodegraph.diffusion import masks
from nodegraph.diffusion.blending import faded


def mask(batch: int = 1, height: int = 12, width: int = 10, seed: int = 0) -> Tensor:
    return torch.rand(batch, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("by", [-3, -1, 0, 2, 50])
@pytest.mark.parametrize("diamond", [True, False])
def test_growing_is_scipys(by: int, diamond: bool) -> None:
    corner = 0 if diamond else 1
    footprint = np.array([[corner, 1, corner], [1, 1, 1], [corner, 1, corner]])
    grow = ndimage.grey_erosion if by < 0 else ndimage.grey_dilation
    given = masks.grown(mask(2), by, diamond=diamond)
    for index in range(2):
        expected = mask(2)[index].numpy()
        for _ in range(abs(by)):
            expected = grow(expected, footprint=footprint)
        assert np.allclose(given[index].numpy(), expected)


def test_growing_can_be_stopped() -> None:
    looks = []
    masks.grown(mask(), 16384, diamond=True, check=lambda: looks.append(1))
    assert 12 <= len(looks) <= 30, "it ends when nothing is left to grow into"


@pytest.mark.parametrize("size", [0, 1, 2, 5, 6])
def test_spreading_reaches_as_far_as_a_square_of_ones(size: int) -> None:
    values = (mask() > 0.96).float()
    expected = values[0].numpy()
    if size > 1:
        pad = -(-(size - 1) // 2)
        ones = torch.ones(1, 1, size, size)
        summed = torch.nn.functional.conv2d(values[None], ones, padding=pad).clamp(0, 1)
        expected = summed[0, 0, :12, :10].numpy()
    assert np.array_equal(masks.spread(values, size)[0].numpy(), expected)


def test_combining_does_what_its_name_says_within_the_picture() -> None:
    below, above = mask(), mask(2, 6, 20, seed=1)
    seen, under = above[:, :5, :7], below[:, 7:, 3:].expand(2, -1, -1)
    expected = {
        "multiply": under * seen,
        "add": (under + seen).clamp(0, 1),
        "subtract": (under - seen).clamp(0, 1),
        "and": ((under > 0.5) & (seen > 0.5)).float(),
        "or": ((under > 0.5) | (seen > 0.5)).float(),
        "xor": ((under > 0.5) != (seen > 0.5)).float(),
    }
    operations: tuple[masks.MaskOperation, ...] = ("multiply", "add", "subtract", "and", "or", "xor")
    for operation in operations:
        given = masks.composed(below, above, 3, 7, operation)
        assert torch.equal(given[:, 7:, 3:], expected[operation]), operation
        assert torch.equal(given[:, :7], below[:, :7].expand(2, -1, -1))


def test_what_lies_outside_changes_nothing() -> None:
    assert torch.equal(masks.composed(mask(), mask(seed=1), 10, 0, "add"), mask())


def test_a_crop_stays_inside_and_one_outside_is_told() -> None:
    assert masks.cropped(mask(), 8, 10, 512, 512).shape == (1, 2, 2)
    with pytest.raises(ValueError, match=r"the corner \(10, 0\) lies outside the mask of 10 x 12"):
        masks.cropped(mask(), 10, 0, 1, 1)


def test_feathering_fades_each_side_over_its_own_length() -> None:
    weights = faded(6, 8, left=4, top=0, right=2, bottom=3)
    across = [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5]
    down = [1, 1, 1, 1, 2 / 3, 1 / 3]
    assert torch.allclose(weights, torch.tensor(down)[:, None] * torch.tensor(across))
    assert faded(2, 2, left=8)[0].tolist() == [0.125, 0.25]


def test_a_colour_is_found_to_the_bit() -> None:
    pixels = torch.tensor([[0xFF, 0x80, 0x01], [0xFF, 0x80, 0x02]]).div(255).reshape(1, 1, 2, 3)
    assert masks.of_color(pixels, 0xFF8001).tolist() == [[[1.0, 0.0]]]
