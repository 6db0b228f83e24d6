"""What is wrong with latents and pictures at first sight."""

from __future__ import annotations

import math

import pytest
import torch

from nodegraph.diffusion.flaws import latent_flaw, picture_flaw


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_counted_and_their_pictures_named(value: float) -> None:
    samples = torch.randn(3, 4, 8, 8)
    assert latent_flaw(samples) is None
    samples[1, :, 0, 0] = value
    flaw = latent_flaw(samples) or ""
    assert flaw.startswith("picture 2 of 3 is damaged: 4 of 768 latents are NaN or infinite")
    assert "fp32" in flaw


def test_a_picture_is_black_where_its_file_would_be() -> None:
    pixels = torch.full((2, 4, 4, 3), 0.003)
    assert picture_flaw(pixels) == "all 2 pictures are nothing but black"
    pixels[0, 0, 0, 0] = 0.004
    assert picture_flaw(pixels) == "picture 2 of 2 is nothing but black"
    assert picture_flaw(pixels[:1]) is None
    assert picture_flaw(torch.rand(1, 4, 4, 1) + 0.1) is None
    assert picture_flaw(torch.empty(0, 4, 4, 3)) is None


def test_the_alpha_of_a_picture_is_no_colour() -> None:
    pixels = torch.zeros(1, 4, 4, 4)
    pixels[..., 3] = 1.0
    assert picture_flaw(pixels) == "the picture is nothing but black"


def test_a_damaged_picture_is_told_before_a_black_one() -> None:
    pixels = torch.zeros(12, 2, 2, 3)
    pixels[:11, 0] = math.nan
    flaw = picture_flaw(pixels) or ""
    assert flaw.startswith("pictures 1, 2, 3, 4, 5, 6, 7, 8 and 3 more of 12 are damaged")
