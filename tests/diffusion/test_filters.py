"""Blur, sharpening, morphology, colours and few colours, against loops, scipy and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from scipy import ndimage
from torch import Tensor

from nodegraph.diffusion import filters, palette
from nodegraph.diffusion.images import to_bytes


def planes(height: int = 11, width: int = 9, channels: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


def gaussian(radius: int, sigma: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    places = np.linspace(-1, 1, 2 * radius + 1)
    square = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * sigma**2))
    kernel: np.ndarray[tuple[int, int], np.dtype[np.float64]] = square / square.sum()
    return kernel


@pytest.mark.parametrize(("radius", "sigma"), [(1, 1.0), (3, 0.4), (4, 10.0)])
def test_a_blur_is_a_gaussian_in_units_of_its_radius_with_mirrored_borders(radius: int, sigma: float) -> None:
    given = filters.blur(planes(), radius, sigma)
    for channel in range(2):
        expected = ndimage.convolve(planes()[0, channel].double().numpy(), gaussian(radius, sigma), mode="mirror")
        assert np.allclose(given[0, channel].numpy(), expected, atol=1e-5)


def test_sharpening_is_a_kernel_that_sums_to_one() -> None:
    kernel = gaussian(2, 0.7) * -(0.3 * 10)
    kernel[2, 2] += 1 - kernel.sum()
    expected = ndimage.convolve(planes()[0, 0].double().numpy(), kernel, mode="mirror")
    assert np.allclose(filters.sharpen(planes(), 2, 0.7, 0.3)[0, 0].numpy(), expected, atol=1e-5)
    assert torch.allclose(filters.sharpen(planes(), 2, 0.7, 0.0), planes(), atol=1e-6)


def test_a_radius_larger_than_the_picture_is_told() -> None:
    with pytest.raises(ValueError, match="a radius of 9 is too large for 9 x 11"):
        filters.blur(planes(), 9, 1.0)


@pytest.mark.parametrize("size", [3, 4, 5, 6, 8, 9, 13, 31, 100])
def test_morphology_is_scipys(size: int) -> None:
    plane = planes()[0, 0].numpy()
    largest = ndimage.maximum_filter(plane, size, mode="constant", cval=-np.inf)
    smallest = ndimage.minimum_filter(plane, size, mode="constant", cval=np.inf)
    assert np.allclose(filters.dilate(planes(), size)[0, 0].numpy(), largest)
    assert np.allclose(filters.erode(planes(), size)[0, 0].numpy(), smallest)


def test_the_other_operations_follow_from_both() -> None:
    x, size = planes(), 3
    wide, thin = filters.dilate(x, size), filters.erode(x, size)
    expected = {
        "erode": thin,
        "dilate": wide,
        "gradient": wide - thin,
        "open": filters.dilate(thin, size),
        "close": filters.erode(wide, size),
        "top_hat": x - filters.dilate(thin, size),
        "bottom_hat": filters.erode(wide, size) - x,
    }
    kinds: tuple[filters.MorphologyKind, ...] = (
        "erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat",
    )  # fmt: skip
    for kind in kinds:
        assert torch.equal(filters.morphology(x, kind, size), expected[kind]), kind


def test_noise_is_the_seeds_own() -> None:
    pixels = torch.full((2, 3, 4, 3), 0.5)
    drawn = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(filters.noisy(pixels, 5, 0.25), (pixels + 0.25 * drawn).clamp(0, 1))
    assert torch.equal(filters.noisy(pixels, 5, 0.0), pixels)


def test_colours_come_back_from_brightness_and_differences() -> None:
    colors = planes(channels=3)
    apart = filters.to_yuv(colors)
    assert torch.allclose(apart[:, 0], 0.299 * colors[:, 0] + 0.587 * colors[:, 1] + 0.114 * colors[:, 2])
    assert torch.allclose(filters.from_yuv(apart), colors, atol=2e-3)  # the constants are rounded
    grey = filters.to_yuv(torch.full((1, 3, 1, 1), 0.3)).flatten()
    assert grey.tolist() == pytest.approx([0.3, 0.5, 0.5])


def test_few_colours_are_pillows() -> None:
    picture = planes(channels=3)[0].movedim(0, -1)
    rgb = Pillow.fromarray(to_bytes(picture).numpy())
    few = rgb.quantize(colors=4)
    for dither, mode in (("none", Pillow.Dither.NONE), ("floyd-steinberg", Pillow.Dither.FLOYDSTEINBERG)):
        expected = np.array(rgb.quantize(colors=4, palette=few, dither=mode).convert("RGB")) / 255
        given = palette.quantized(picture, 4, "none" if dither == "none" else "floyd-steinberg")
        assert np.allclose(given.numpy(), expected)


def test_bayers_pattern_is_even() -> None:
    assert palette.bayer(1).tolist() == [[-0.375, 0.125], [0.375, -0.125]]
    pattern = palette.bayer(3)
    assert pattern.shape == (8, 8)
    assert np.allclose(np.sort(pattern.flatten()), (np.arange(64) - 31.5) / 64)


@pytest.mark.parametrize("order", [2, 4, 8, 16])
def test_ordered_dithering_mixes_two_colours_where_one_is_missing(order: int) -> None:
    ramp = torch.linspace(0, 1, 32).expand(16, 32)[..., None].expand(-1, -1, 3)
    dithers: dict[int, palette.Dither] = {2: "bayer-2", 4: "bayer-4", 8: "bayer-8", 16: "bayer-16"}
    few = palette.quantized(ramp, 4, dithers[order])
    plain = palette.quantized(ramp, 4, "none")
    assert few.shape == ramp.shape
    assert len(few.flatten(0, 1).unique(dim=0)) <= 4
    assert not torch.equal(few, plain)
