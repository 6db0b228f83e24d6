"""How the pixels of two pictures compare."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from nodegraph.verification.pixels import compare, read_pixels, write_difference
from nodegraph.verification.report import CannotVerifyError

Array = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def noise(frames: int = 1, height: int = 5, width: int = 4, seed: int = 0) -> Array:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels


def test_pictures_that_are_the_same_have_nothing_to_tell() -> None:
    told = compare(noise(), noise())
    assert told.same
    assert (told.differing, told.largest, told.mean, told.psnr, told.box) == (0, 0, 0.0, None, None)


def test_the_figures_are_those_of_their_definitions() -> None:
    then, now = noise(seed=1).astype(np.int64), noise(seed=2).astype(np.int64)
    told = compare(then.astype(np.uint8), now.astype(np.uint8))
    off = np.abs(then - now)[..., :3]
    assert told.largest == off.max()
    assert told.mean == pytest.approx(off.mean())
    assert told.psnr == pytest.approx(20 * math.log10(255 / math.sqrt((off**2).mean())))
    assert told.differing == 20


def test_what_differs_is_boxed_over_all_frames() -> None:
    then = noise(3, 10, 12)
    now = then.copy()
    now[0, 2, 3, 0] ^= 1
    now[2, 7, 9, 2] ^= 4
    told = compare(then, now)
    assert (told.box, told.differing, told.differing_frames) == ((3, 2, 7, 6), 2, (0, 2))
    assert "in 2 of 3 frames" in str(told)
    assert "2 of 360 pixels (0.56 %)" in str(told)


def test_differences_do_not_wrap_around() -> None:
    black, white = np.zeros((1, 2, 2, 4), np.uint8), np.full((1, 2, 2, 4), 255, np.uint8)
    told = compare(black, white)
    assert (told.largest, told.mean, told.psnr) == (255, 255.0, 0.0)


def test_alpha_counts_where_it_differs() -> None:
    then = noise()
    now = then.copy()
    now[0, 1, 1, 3] = 0
    told = compare(then, now)
    assert (told.differing, told.largest) == (1, 255)
    assert told.mean == pytest.approx(255 / (5 * 4 * 4))


@pytest.mark.parametrize(("now", "told"), [(noise(width=6), "6 x 5"), (noise(2), "4 x 5 in 2 frames")])
def test_another_size_is_all_that_is_told(now: Array, told: str) -> None:
    pixels = compare(noise(), now)
    assert (pixels.other, pixels.same, pixels.within(255)) == (told, False, False)


def test_files_are_read_as_they_hold_it(tmp_path: Path) -> None:
    pixels = noise()
    pixels[0, 0, 0, 3] = 17
    Pillow.fromarray(pixels[0]).save(tmp_path / "rgba.png")
    assert np.array_equal(read_pixels(tmp_path / "rgba.png"), pixels)
    Pillow.fromarray(pixels[0, ..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(read_pixels(tmp_path / "grey.png")[0, ..., 2], pixels[0, ..., 0])


def test_a_picture_that_is_cut_off_is_told(tmp_path: Path) -> None:
    Pillow.fromarray(noise(1, 64, 64)[0]).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:4000])
    with pytest.raises(CannotVerifyError, match=r"half\.png: not a readable picture"):
        read_pixels(tmp_path / "half.png")


def test_the_picture_of_the_differences_is_white_where_they_are_largest(tmp_path: Path) -> None:
    then = noise()
    now = then.copy()
    now[0, 1, 2, 0] ^= 2
    now[0, 3, 3, 1] ^= 1
    write_difference(tmp_path / "drawn.png", then, now)
    with Pillow.open(tmp_path / "drawn.png") as drawn:
        assert (drawn.getpixel((2, 1)), drawn.getpixel((3, 3)), drawn.getpixel((0, 0))) == (255, 127, 0)
