"""Picture files that are large, damaged or of unusual kinds, and sizes at the edge of what there is."""

from __future__ import annotations

import io
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from nodegraph.diffusion import images
from nodegraph.diffusion.images import ImageFileError, read_image, resize


def frames(count: int = 4) -> list[Pillow.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return [Pillow.fromarray(picture) for picture in noise]


def encoded(suffix: str) -> bytes:
    exif, data = Pillow.Exif(), io.BytesIO()
    exif[0x0112] = 6
    first, *rest = frames()
    first.save(data, suffix, save_all=True, append_images=rest, exif=exif)
    return data.getvalue()


def test_a_file_of_too_many_pixels_in_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.webp").write_bytes(encoded("webp"))
    monkeypatch.setattr(images, "MOST_PIXELS", 4 * 6 * 8 - 1)
    with pytest.raises(ImageFileError, match=r"a\.webp: got 8 x 6 in 4 frames, expected at most 191 pixels in all"):
        read_image(tmp_path / "a.webp")
    monkeypatch.setattr(images, "MOST_PIXELS", 4 * 6 * 8)
    assert read_image(tmp_path / "a.webp")[0].shape[0] == 4


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    blank = Pillow.new("1", (8000, 8000))
    blank.save(tmp_path / "bomb.tif", compression="group4", save_all=True, append_images=[blank] * 2)
    assert (tmp_path / "bomb.tif").stat().st_size < 2**16
    with pytest.raises(ImageFileError, match="8000 x 8000 in 3 frames"):
        read_image(tmp_path / "bomb.tif")


def test_the_limit_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames()[0].save(tmp_path / "a.png")
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 40)  # of 48: Pillow warns above it, and refuses above twice that
    assert read_image(tmp_path / "a.png")[0].shape == (1, 6, 8, 3)


def test_frames_of_another_size_are_left_out(tmp_path: Path) -> None:
    first, second, third, _ = frames()
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second.resize((5, 5)), third])
    pixels, mask = read_image(tmp_path / "a.tif")
    assert mask.shape == (2, 6, 8)
    assert torch.equal(pixels[1], torch.from_numpy(np.array(third)) / 255)


@pytest.mark.parametrize("suffix", ["png", "gif", "tiff", "webp"])
def test_a_damaged_file_is_a_picture_or_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 10_000)  # damage can make a picture large, and the test slow
    whole, draw, path = encoded(suffix), random.Random(0), tmp_path / f"a.{suffix}"
    refused = []
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 4))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randrange(len(data))] if draw.random() < 0.2 else data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of some damage, and reads on
                pixels, mask = read_image(path)
        except ImageFileError as error:
            refused.append(str(error))
        else:
            assert pixels.shape == (*mask.shape, 3)
            assert ((pixels >= 0) & (pixels <= 1)).all()
    assert 0 < len(refused) < 300
    assert all(message.startswith(f"{path}: ") for message in refused)


GREY = np.array([[0, 1], [128, 255]])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.array([[-0.5, 0.25], [np.nan, 1.5]], np.float32), [[0, 0.25], [0, 1]], id="float"),
        pytest.param((GREY * 257).astype(np.uint16), GREY / 255, id="16 bits"),
        pytest.param(GREY.astype(np.uint16), GREY / 65535, id="16 bits, dark"),
        pytest.param((GREY * 257).astype(np.int32), GREY / 255, id="32 bits that hold 16"),
        pytest.param(GREY.astype(np.int32), GREY / 255, id="32 bits that hold 8"),
    ],
)
def test_grey_of_many_bits_keeps_its_range(
    tmp_path: Path, array: np.ndarray[tuple[int, int], np.dtype[np.generic]], expected: list[list[float]]
) -> None:
    Pillow.fromarray(array).save(tmp_path / "a.tif")
    pixels, mask = read_image(tmp_path / "a.tif")
    assert torch.allclose(pixels[0, ..., 0], torch.tensor(np.array(expected), dtype=torch.float32))
    assert torch.equal(pixels[..., 0], pixels[..., 2])
    assert not mask.any()


@pytest.mark.parametrize(("height", "width"), [(1, 100), (100, 1), (2, 100), (3, 100)])
def test_a_centre_crop_keeps_a_row_and_a_column_at_any_ratio(height: int, width: int) -> None:
    plain = torch.full((1, 3, height, width), 0.25)
    for size in ((64, 64), (16, 1024), (1024, 16)):
        assert torch.allclose(resize(plain, *size, "bilinear", "center"), torch.full((1, 3, *size[::-1]), 0.25))


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp"])
def test_no_pictures_are_resized_to_none(method: images.Resampling) -> None:
    assert resize(torch.zeros(0, 3, 4, 6), 9, 8, method).shape == (0, 3, 8, 9)
