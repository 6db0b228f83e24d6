"""Sizes and joins of pictures, against plain loops and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from nodegraph.diffusion import pixels as library


def pictures(batch: int = 1, height: int = 5, width: int = 8, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(seed))


def test_lanczos_is_pillows() -> None:
    plane = pictures(1, 9, 7, 1)
    expected = Pillow.fromarray(plane[0, ..., 0].numpy()).resize((13, 4), Pillow.Resampling.LANCZOS)
    given = library.scaled(plane, 13, 4, "lanczos")
    assert np.allclose(given[0, ..., 0].numpy(), np.array(expected).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "megapixels", "expected"),
    [((1024, 1024), 1.0, (1024, 1024)), ((512, 512), 1.0, (1024, 1024)), ((300, 200), 0.01, (125, 84)),
     ((10000, 1), 0.01, (10240, 1))],
)  # fmt: skip
def test_a_number_of_pixels_keeps_the_shape(
    size: tuple[int, int], megapixels: float, expected: tuple[int, int]
) -> None:
    assert library.size_of_area(*size, megapixels) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 50), (64, 32)), ((50, 100), (32, 64)), ((7, 7), (64, 64)), ((1000, 1), (64, 1))]
)
def test_the_longer_side_gets_what_is_asked_for(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert library.size_of_longest(*size, 64) == expected


def test_padding_fills_up_around_the_middle() -> None:
    padded = library.padded_to(torch.zeros(1, 4, 8, 3), 8, 9, "area", (1.0, 1.0, 1.0))
    assert padded.shape == (1, 9, 8, 3)
    assert padded[0, :, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1]


def test_what_is_filled_is_opaque_and_grey_takes_the_mean() -> None:
    assert library.filled(1, 1, 1, 4, library.COLORS["red"]).flatten().tolist() == [1, 0, 0, 1]
    assert library.filled(1, 1, 1, 1, library.COLORS["red"]).item() == pytest.approx(1 / 3)
    assert library.of_rgb(0xFF8000) == (1.0, 128 / 255, 0.0)


@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_picture_beside_takes_the_height_and_comes_first_on_the_left(direction: library.Direction) -> None:
    one, other = pictures(), pictures(2, 10, 20, seed=1)
    joined = library.stitched(one, other, direction, match=True, spacing=0, color=(0, 1, 0))
    assert joined.shape == (2, 5, 8 + 10, 3)
    left = 10 if direction == "left" else 0
    for picture in joined:  # the shorter batch repeats its last picture
        assert torch.equal(picture[:, left : left + 8], one[0])


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_picture_below_takes_the_width_rounded_down(direction: library.Direction) -> None:
    one, other = pictures(), pictures(1, 10, 7, seed=1)
    joined = library.stitched(one, other, direction, match=True, spacing=0, color=(0, 1, 0))
    assert joined.shape == (1, 5 + int(8 / 0.7), 8, 3)
    top = 11 if direction == "up" else 0
    assert torch.equal(joined[0, top : top + 5], one[0])


def test_spacing_is_even_and_of_its_colour() -> None:
    joined = library.stitched(
        pictures(), pictures(channels=4), "right", match=False, spacing=3, color=library.COLORS["blue"]
    )
    assert joined.shape == (1, 5, 8 + 4 + 8, 4)
    assert joined[0, 2, 8:12].tolist() == [[0, 0, 1, 1]] * 4


def test_the_smaller_picture_is_filled_up_where_sizes_are_kept() -> None:
    joined = library.stitched(pictures(), torch.zeros(1, 2, 2, 3), "right", match=False, spacing=0, color=(1, 1, 1))
    assert joined.shape == (1, 5, 10, 3)
    assert joined[0, :, 8, 0].tolist() == [1, 0, 0, 1, 1]


def test_room_for_outpainting_fades_into_the_picture() -> None:
    height, width, feathering, room = 9, 10, 3, {"left": 2, "top": 0, "right": 0, "bottom": 4}
    picture = pictures(1, height, width)
    canvas, mask = library.outpaint_canvas(picture, **room, feathering=feathering)
    expected = np.ones((height + 4, width + 2))
    for row in range(height):
        for column in range(width):
            near = min(height - row, column)  # from the sides that have room
            expected[row, column + 2] = ((feathering - near) / feathering) ** 2 if near < feathering else 0
    assert np.allclose(mask[0].numpy(), expected)
    assert torch.equal(canvas[:, :height, 2:], picture)
    assert canvas[:, height:].unique().tolist() == [0.5]


def test_a_picture_too_small_to_fade_is_kept_whole() -> None:
    _, mask = library.outpaint_canvas(pictures(1, 8, 8), 8, 0, 0, 0, 4)
    assert mask[0, 0].tolist() == [1.0] * 8 + [0.0] * 8
