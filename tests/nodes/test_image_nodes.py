"""Picture nodes, called as the functions that they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from nodegraph import Context
from nodegraph.diffusion.images import ImageFileError, read_image, resize, to_bytes, write_png
from nodegraph.diffusion.values import Image, Mask, Origin
from nodegraph.engine.folders import Folders
from nodegraph.nodes import image as nodes
from nodegraph.nodes import mask as masks


def picture(batch: int = 1, height: int = 4, width: int = 6, channels: int = 3) -> Image:
    pixels = torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(0))
    return Image(pixels, tuple(Origin(7, index) for index in range(batch)))


def load(path: Path) -> tuple[Image, Mask]:
    loaded = nodes.load_image(Context(folders=Folders({"input": [path.parent]})), path.name)
    return loaded.image, loaded.mask


def test_a_transparent_picture_gives_its_colours_and_a_mask_of_what_is_transparent(tmp_path: Path) -> None:
    array = np.zeros((2, 3, 4), np.uint8)
    array[..., 0], array[..., 3], array[0, 0, 3] = 255, 255, 51
    Pillow.fromarray(array).save(tmp_path / "a.png")
    image, mask = load(tmp_path / "a.png")
    assert image.pixels.shape == (1, 2, 3, 3)
    assert image.pixels[0, 1, 1].tolist() == [1.0, 0.0, 0.0]
    assert mask.values[0, 0, 0].item() == pytest.approx(0.8)
    assert mask.values[0, 1].tolist() == [0.0, 0.0, 0.0]


def test_a_picture_is_turned_as_its_camera_said(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Pillow.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert load(tmp_path / "a.jpg")[0].pixels.shape == (1, 8, 4, 3)


def test_grey_of_16_bits_keeps_its_range(tmp_path: Path) -> None:
    Pillow.fromarray(np.full((2, 2), 32768, np.uint16)).save(tmp_path / "a.png")
    assert load(tmp_path / "a.png")[0].pixels.mean().item() == pytest.approx(0.5, abs=1e-3)


def test_an_animation_is_a_batch(tmp_path: Path) -> None:
    frames = [Pillow.new("RGB", (4, 4), (shade, 0, 0)) for shade in (0, 128, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert load(tmp_path / "a.gif")[0].pixels.shape[0] == 3


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    with pytest.raises(ImageFileError, match=r"a\.png: not a readable picture"):
        load(tmp_path / "a.png")


def test_pixels_survive_a_file(tmp_path: Path) -> None:
    pixels = (torch.arange(48).reshape(4, 4, 3) * 5).float() / 255
    write_png(tmp_path / "a.png", pixels, {"key": "Grüße"})
    again, _ = read_image(tmp_path / "a.png")
    assert torch.equal(to_bytes(again[0]), to_bytes(pixels))
    with Pillow.open(tmp_path / "a.png") as file:
        assert file.info["key"] == "Grüße"


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_a_plain_picture_stays_plain_at_any_size(method: nodes.Resampling) -> None:
    plain = Image(torch.full((2, 5, 7, 3), 0.25))
    scaled = nodes.image_scale(plain, method, 13, 9)
    assert scaled.pixels.shape == (2, 9, 13, 3)
    assert torch.allclose(scaled.pixels, torch.full((2, 9, 13, 3), 0.25), atol=1e-5)


def test_a_side_of_zero_follows_from_the_other() -> None:
    assert nodes.image_scale(picture(), "bilinear", 12, 0).pixels.shape == (1, 8, 12, 3)
    assert nodes.image_scale(picture(), "bilinear", 0, 8).pixels.shape == (1, 8, 12, 3)
    assert nodes.image_scale(picture(), "bilinear", 0, 0).pixels.shape == (1, 4, 6, 3)


def test_a_picture_is_scaled_by_a_factor() -> None:
    assert nodes.image_scale_by(picture(), "area", 1.5).pixels.shape == (1, 6, 9, 3)
    assert nodes.image_scale_by(picture(), "lanczos", 0.01).pixels.shape == (1, 1, 1, 3)


def test_a_centre_crop_keeps_the_shape_of_things() -> None:
    wide = torch.zeros(1, 4, 8, 3)
    wide[:, :, 2:6] = 1.0
    assert nodes.image_scale(Image(wide), "area", 4, 4, "center").pixels.min().item() == 1.0


def test_bislerp_keeps_the_length_of_vectors() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    assert torch.allclose(resize(vectors, 17, 11, "bislerp").norm(dim=1), torch.ones(1, 11, 17), atol=1e-3)
    assert torch.allclose(resize(vectors, 6, 6, "bislerp"), vectors)


def test_batches_are_joined_at_the_size_of_the_first() -> None:
    joined = nodes.image_batch(picture(1, 4, 6), picture(2, 8, 8, 4))
    assert joined.pixels.shape == (3, 4, 6, 4)
    assert joined.origins == (Origin(7, 0), Origin(7, 0), Origin(7, 1))


def test_part_of_a_batch_keeps_its_origins() -> None:
    part = nodes.image_from_batch(picture(4), 2, 5)
    assert part.pixels.shape[0] == 2
    assert part.origins == (Origin(7, 2), Origin(7, 3))
    assert nodes.repeat_image_batch(part, 2).origins == part.origins * 2


def test_flip_twice_and_invert_twice_change_nothing() -> None:
    image = picture()
    for flip in ("x-axis: vertically", "y-axis: horizontally"):
        once = nodes.image_flip(image, flip)
        assert not torch.equal(once.pixels, image.pixels)
        assert torch.equal(nodes.image_flip(once, flip).pixels, image.pixels)
    assert torch.allclose(nodes.image_invert(nodes.image_invert(image)).pixels, image.pixels)


def test_inverting_leaves_alpha_and_the_input_alone() -> None:
    image = picture(channels=4)
    before = image.pixels.clone()
    assert torch.equal(nodes.image_invert(image).pixels[..., 3], before[..., 3])
    assert torch.equal(image.pixels, before)


def test_a_crop_stays_inside() -> None:
    assert nodes.image_crop(picture(), 512, 512, 4, 1).pixels.shape == (1, 3, 2, 3)
    assert nodes.image_crop(picture(), 2, 2, 100, 100).pixels.shape == (1, 1, 1, 3)


def test_masks_and_pictures_turn_into_each_other() -> None:
    mask = masks.solid_mask(0.25, 3, 2)
    assert mask.values.shape == (1, 2, 3)
    again = masks.image_to_mask(masks.mask_to_image(mask), "green")
    assert torch.equal(again.values, mask.values)
    assert masks.invert_mask(mask).values.unique().tolist() == [0.75]
    assert masks.image_to_mask(picture(), "alpha").values.min().item() == 1.0
