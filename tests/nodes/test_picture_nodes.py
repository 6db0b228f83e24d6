"""Nodes for sizes, filters, composition and upscaling of pictures, called as the functions that they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nodegraph import Cancelled, Context, Options, Runtime
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.upscaling import CompactConfig
from nodegraph.diffusion.values import Image, Latent, Mask, Origin
from nodegraph.engine.context import CancelToken
from nodegraph.engine.events import Event, Progress
from nodegraph.engine.folders import Folders
from nodegraph.nodes import image_composition as composition
from nodegraph.nodes import image_filters as filters
from nodegraph.nodes import image_sizes as sizes
from nodegraph.nodes import image_transforms as transforms
from nodegraph.nodes import mask as masks
from nodegraph.nodes.upscaling import image_upscale_with_model, upscale_model_loader
from nodegraph.nodes.vae_tiled import vae_decode_tiled, vae_encode_tiled


def picture(batch: int = 1, height: int = 6, width: int = 8, channels: int = 3) -> Image:
    pixels = torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(0))
    return Image(pixels, tuple(Origin(7, index) for index in range(batch)))


def test_sizes_are_told_and_set() -> None:
    assert sizes.get_image_size(picture(2)) == (8, 6, 2)
    assert sizes.image_scale_to_max_dimension(picture(), "area", 16).pixels.shape == (1, 12, 16, 3)
    assert sizes.image_scale_to_total_pixels(picture(), "bilinear", 0.01).pixels.shape == (1, 89, 118, 3)
    padded = sizes.resize_and_pad_image(picture(), 8, 8, padding_color="black", interpolation="bicubic")
    assert padded.pixels[0, [0, 7]].unique().tolist() == [0.0]
    assert padded.origins == picture().origins
    with pytest.raises(ValueError, match="largest_size is 0"):
        sizes.image_scale_to_max_dimension(picture(), "area", 0)


def test_plain_pictures_have_their_colour() -> None:
    plain = transforms.empty_image(3, 2, 2, 0x00FF80)
    assert plain.pixels.shape == (2, 2, 3, 3)
    assert plain.pixels[1, 1, 2].tolist() == pytest.approx([0, 1, 128 / 255])


def test_four_turns_come_full_circle_and_the_first_is_clockwise() -> None:
    image = picture()
    turned = transforms.image_rotate(image, "90 degrees")
    assert torch.equal(turned.pixels[0, 0, -1], image.pixels[0, 0, 0])
    for _ in range(3):
        turned = transforms.image_rotate(turned, "90 degrees")
    assert torch.equal(turned.pixels, image.pixels)
    half = transforms.image_rotate(image, "180 degrees").pixels
    assert torch.equal(half, image.pixels.flip(1, 2))


def test_without_a_second_picture_there_is_nothing_to_stitch() -> None:
    assert transforms.image_stitch(picture()).pixels.shape == (1, 6, 8, 3)
    assert transforms.image_stitch(picture(), "down", image2=picture()).pixels.shape == (1, 12, 8, 3)


def test_pictures_are_put_into_batches_with_their_origins() -> None:
    batches = transforms.rebatch_images([picture(3), picture(2)], 2)
    assert [len(batch.pixels) for batch in batches] == [2, 2, 1]
    assert [batch.origins for batch in batches][1] == (Origin(7, 2), Origin(7, 0))
    assert len(transforms.rebatch_images(picture(3))) == 3
    with pytest.raises(ValueError, match="got pictures of 8 x 6 in 3 channels and 9 x 6 in 3 channels"):
        transforms.rebatch_images([picture(), picture(width=9)], 2)


def test_rebatching_takes_a_batch_or_a_list_by_wire(tmp_path: Path) -> None:
    runtime = Runtime(Options(output=tmp_path, data=tmp_path / "data", plugins=False, cache=False))
    nodes = {
        "empty": {"type": "EmptyImage", "params": {"width": 4, "height": 4, "batch_size": 5}},
        "pairs": {"type": "RebatchImages", "params": {"batch_size": 2}, "links": {"images": "empty.out"}},
        "again": {"type": "RebatchImages", "params": {"batch_size": 3}, "links": {"images": "pairs.out"}},
        "size": {"type": "GetImageSize", "links": {"image": "again.out"}},
    }
    outputs = runtime.run({"format": 1, "nodes": nodes, "outputs": {"counts": "size.batch_size"}})
    assert outputs["counts"] == [3, 2]


def test_filters_keep_shape_origins_and_range() -> None:
    image = picture(2, 12, 12)
    for changed in (
        filters.image_blur(Context(), image, 3, 1.0),
        filters.image_sharpen(Context(), image, 2, 1.0, 5.0),
        filters.morphology(Context(), image, "gradient", 4),
        filters.canny(Context(), image, 0.1, 0.2),
        filters.image_add_noise(image, 3, 1.0),
        filters.image_quantize(Context(), image, 8, dither="bayer-4"),
    ):
        assert changed.pixels.shape == image.pixels.shape
        assert changed.origins == image.origins
        assert 0 <= changed.pixels.min() <= changed.pixels.max() <= 1


@pytest.mark.parametrize("id", ["ImageBlur", "ImageSharpen", "Morphology", "Canny", "ImageQuantize"])
def test_a_filter_is_stopped_between_the_pictures_of_a_batch(id: str) -> None:
    told: list[Event] = []
    token = CancelToken()

    def tell(event: Event) -> None:
        told.append(event)
        if isinstance(event, Progress) and event.value == 2:
            token.cancel()

    runtime = Runtime(Options(plugins=False, cache=False))
    function = runtime.registry[id].function
    first = {name: port.choices()[0] for name, port in runtime.registry[id].inputs.items() if port.choices is not None}
    with pytest.raises(Cancelled):
        function(context=Context("filter", emit=tell, cancel=token), image=picture(5, 9, 9), **first)
    assert [event.value for event in told if isinstance(event, Progress)] == [0, 1, 2]


def test_a_batch_gives_what_its_pictures_give_alone() -> None:
    image = picture(3, 12, 12, 4)
    singles = [Image(image.pixels[index : index + 1]) for index in range(3)]
    changes: tuple[Callable[[Image], Image], ...] = (
        lambda one: filters.image_blur(Context(), one, 3, 1.0),
        lambda one: filters.morphology(Context(), one, "close", 5),
        lambda one: filters.canny(Context(), one, 0.1, 0.3),
    )
    for change in changes:
        assert torch.equal(change(image).pixels, torch.cat([change(one).pixels for one in singles]))


def test_brightness_and_differences_of_colour_make_the_picture_again() -> None:
    parts = filters.image_rgb_to_yuv(picture())
    again = filters.image_yuv_to_rgb(*parts)
    assert torch.allclose(again.pixels, picture().pixels, atol=5e-3)
    with pytest.raises(ValueError, match="expected one size"):
        filters.image_yuv_to_rgb(parts.Y, parts.U, picture(height=7))


def test_blending_takes_the_size_and_the_channels_that_both_have() -> None:
    blended = composition.image_blend(picture(), picture(2, 12, 30, 4), 0.0, blend_mode="screen")
    assert blended.pixels.shape == (2, 6, 8, 4)
    assert torch.equal(blended.pixels[1, ..., :3], picture().pixels[0])
    assert blended.origins == ()


def test_a_picture_with_alpha_takes_one_without() -> None:
    laid = composition.image_composite_masked(picture(channels=4), Image(torch.zeros(1, 2, 2, 3)), 1, 2)
    assert laid.pixels[0, 2:4, 1:3].flatten(0, 1).tolist() == [[0, 0, 0, 1]] * 4
    other = composition.image_composite_masked(picture(), Image(torch.zeros(1, 2, 2, 4)), 1, 2)
    assert other.pixels.shape == (1, 6, 8, 3)


def test_alpha_comes_off_and_goes_on_again() -> None:
    image = picture(channels=4)
    split = composition.split_image_with_alpha(image)
    assert torch.allclose(split.mask.values, 1 - image.pixels[..., 3])
    joined = composition.join_image_with_alpha(split.image, split.mask)
    assert torch.allclose(joined.pixels, image.pixels)
    assert not composition.split_image_with_alpha(picture()).mask.values.any()
    assert composition.join_image_with_alpha(picture(3), Mask(torch.zeros(2, 3, 4))).pixels.shape == (2, 6, 8, 4)


def test_porter_and_duff_take_masks_of_what_is_transparent() -> None:
    over, below = Image(torch.ones(2, 3, 4, 3)), picture()
    nothing, all_of_it = Mask(torch.zeros(1, 6, 8)), Mask(torch.ones(1, 6, 8))
    covered = composition.porter_duff_image_composite(over, nothing, below, nothing, "SRC_OVER")
    assert torch.allclose(covered.image.pixels, torch.ones(1, 6, 8, 3))
    assert not covered.mask.values.any()
    seen = composition.porter_duff_image_composite(over, all_of_it, below, nothing, "SRC_OVER")
    assert torch.allclose(seen.image.pixels, below.pixels)
    gone = composition.porter_duff_image_composite(over, nothing, below, nothing, "CLEAR")
    assert gone.mask.values.unique().tolist() == [1.0]


def test_masks_are_cut_grown_feathered_and_thresholded() -> None:
    values = torch.zeros(1, 9, 9)
    values[:, 4, 4] = 1.0
    assert masks.grow_mask(Context(), Mask(values), 2, True).values.sum().item() == 13
    assert masks.grow_mask(Context(), Mask(values), 2, False).values.sum().item() == 25
    assert not masks.grow_mask(Context(), Mask(values), -1).values.any()
    assert masks.crop_mask(Mask(values), 4, 4, 99, 1).values.tolist() == [[[1, 0, 0, 0, 0]]]
    assert masks.feather_mask(masks.solid_mask(1.0, 4, 1), right=2).values.flatten().tolist() == [1, 1, 1, 0.5]
    assert masks.threshold_mask(Mask(torch.tensor([[[0.5, 0.6]]])), 0.5).values.tolist() == [[[0, 1]]]
    assert masks.image_color_to_mask(transforms.empty_image(2, 2, 1, 5), 5).values.min().item() == 1.0
    both = masks.mask_composite(masks.solid_mask(0.5, 4, 4), masks.solid_mask(0.25, 2, 2), 1, 1, operation="add")
    assert both.values[0, 1, 1].item() == 0.75


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Context:
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("upscalers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Compact(CompactConfig(channels=4, convolutions=1, scale=2))
    save_file(network.state_dict(), folder / "x2.safetensors")
    return Context(folders=Folders({"upscale_models": [folder]}), settings={"device": "cpu"})


def test_a_network_makes_pictures_larger(upscaler: Context) -> None:
    model = upscale_model_loader(upscaler, "x2.safetensors")
    assert (model.scale, model.family) == (2, "compact")
    told: list[Event] = []
    larger = image_upscale_with_model(Context("up", emit=told.append), model, picture(2, 10, 600))
    assert larger.pixels.shape == (2, 20, 1200, 3)
    assert larger.origins == picture(2).origins
    assert [(event.value, event.total) for event in told if isinstance(event, Progress)][-1] == (4, 4)


def test_a_cancel_is_seen_between_tiles_and_within(upscaler: Context, tiny: Loaded) -> None:
    model = upscale_model_loader(upscaler, "x2.safetensors")
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        image_upscale_with_model(Context(cancel=token), model, picture())
    with pytest.raises(Cancelled):
        vae_decode_tiled(Context(cancel=token), Latent(torch.randn(1, 4, 4, 4)), tiny.vae)


def test_tiles_give_pictures_and_latents_of_the_same_size(tiny: Loaded) -> None:
    latent = vae_encode_tiled(Context(), picture(1, 100, 83), tiny.vae, 64, 32)
    assert latent.samples.shape == (1, 4, 12, 10)
    decoded = vae_decode_tiled(Context(), Latent(latent.samples, origins=(Origin(1, 0),)), tiny.vae, 64, 0)
    assert decoded.pixels.shape == (1, 96, 80, 3)
    assert decoded.origins == (Origin(1, 0),)
