"""Moving pictures and latents written to files, by nodes called as the functions that they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from nodegraph import Context
from nodegraph.diffusion.images import read_image, to_bytes
from nodegraph.diffusion.values import Image, Latent, Origin
from nodegraph.engine.events import Event, Output
from nodegraph.engine.folders import Folders
from nodegraph.engine.spec import Json
from nodegraph.nodes import animation as nodes
from nodegraph.nodes.image import load_image_output
from nodegraph.nodes.latent_files import load_latent, save_latent
from nodegraph.nodes.mask import load_image_mask, mask_preview, solid_mask


def frames() -> Image:
    pixels = torch.rand(3, 6, 8, 3, generator=torch.Generator().manual_seed(0))
    return Image(pixels, tuple(Origin(7, index) for index in range(3)))


def context(tmp_path: Path, told: list[Event], settings: dict[str, Json] | None = None) -> Context:
    folders = Folders({"input": [tmp_path / "output"], "output": [tmp_path / "output"], "temp": [tmp_path / "temp"]})
    document: dict[str, Json] = {"workflow": {"nodes": {}}, "prompt": {"1": {}}}
    return Context(folders=folders, settings=settings, document=document, emit=told.append)


def test_a_moving_png_has_every_frame_and_its_workflow(tmp_path: Path) -> None:
    told: list[Event] = []
    nodes.save_animated_png(context(tmp_path, told), frames(), "a/b", fps=8.0)
    file = tmp_path / "output" / "a" / "b_00001_.png"
    assert [event.file for event in told if isinstance(event, Output)] == [file]
    assert torch.equal(to_bytes(read_image(file)[0]), to_bytes(frames().pixels))
    with Pillow.open(file) as opened:
        assert opened.info["duration"] == 125
        assert json.loads(opened.info["prompt"]) == {"1": {}}
        assert json.loads(opened.info["nodegraph_record"])["picture"]["origin"]["seed"] == 7


def test_a_moving_webp_has_every_frame_and_its_workflow(tmp_path: Path) -> None:
    nodes.save_animated_webp(context(tmp_path, []), frames(), fps=4.0, method="fastest")
    file = tmp_path / "output" / "ComfyUI_00001_.webp"
    assert torch.equal(to_bytes(read_image(file)[0]), to_bytes(frames().pixels)), "it is lossless"
    with Pillow.open(file) as opened:
        exif = {field: str(value) for field, value in opened.getexif().items()}
        assert opened.n_frames == 3  # type: ignore[attr-defined]
    assert json.loads(exif[0x0110].removeprefix("prompt:")) == {"1": {}}
    assert any(value.startswith("nodegraph:") for value in exif.values())


def test_metadata_can_be_left_out_and_one_picture_is_enough(tmp_path: Path) -> None:
    one = Image(frames().pixels[:1])
    nodes.save_animated_webp(context(tmp_path, [], {"metadata": False}), one, lossless=False, method="default")
    nodes.save_animated_png(context(tmp_path, [], {"metadata": False}), one)
    for suffix in ("webp", "png"):
        with Pillow.open(tmp_path / "output" / f"ComfyUI_0000{1 if suffix == 'webp' else 2}_.{suffix}") as opened:
            assert not opened.getexif()
            assert "prompt" not in opened.info


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    here = context(tmp_path, [])
    nodes.save_animated_png(here, frames(), "a")
    assert load_image_output(here, "a_00001_.png").image.pixels.shape == (3, 6, 8, 3)
    red = load_image_mask(here, "a_00001_.png", "red")
    assert torch.allclose(red.values, frames().pixels[..., 0], atol=1 / 255)
    assert not load_image_mask(here, "a_00001_.png", "alpha").values.any()


def test_masks_are_shown_as_grey_pictures(tmp_path: Path) -> None:
    told: list[Event] = []
    mask_preview(context(tmp_path, told), solid_mask(0.5, 4, 3))
    output = next(event for event in told if isinstance(event, Output))
    assert output.file.parent == tmp_path / "temp"
    assert read_image(output.file)[0].unique().tolist() == pytest.approx([127 / 255])


def test_latents_are_kept_with_their_workflow(tmp_path: Path) -> None:
    here = context(tmp_path, [])
    latent = Latent(torch.randn(2, 4, 3, 5))
    save_latent(here, latent)
    assert torch.equal(load_latent(here, "latents/ComfyUI_00001_.latent").samples, latent.samples)
