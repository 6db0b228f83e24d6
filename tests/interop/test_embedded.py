"""What pictures carry is read from every form that they have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from nodegraph.diffusion.animation import write_apng, write_webp
from nodegraph.diffusion.images import write_png
from nodegraph.interop.embedded import Embedded, EmbeddedError, read_embedded

TEXTS = {
    "nodegraph": json.dumps({"format": 1, "nodes": {}}),
    "nodegraph_record": json.dumps({"engine": "nodegraph 1.0"}),
    "prompt": json.dumps({"1": {"class_type": "Ümläut"}}),
}
FOUND = Embedded({"format": 1, "nodes": {}}, {"1": {"class_type": "Ümläut"}}, None, {"engine": "nodegraph 1.0"})
FRAMES = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))


def test_png_files_carry_texts(tmp_path: Path) -> None:
    write_png(tmp_path / "one.png", FRAMES[0], TEXTS)
    assert read_embedded(tmp_path / "one.png") == FOUND


def test_moving_pictures_carry_the_same(tmp_path: Path) -> None:
    write_apng(tmp_path / "two.png", FRAMES, 5.0, compress_level=1, text=TEXTS)
    write_webp(tmp_path / "two.webp", FRAMES, 5.0, lossless=True, quality=80, method="fastest", text=TEXTS)
    assert read_embedded(tmp_path / "two.png") == FOUND
    assert read_embedded(tmp_path / "two.webp") == FOUND


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
def test_pictures_with_comfyui_s_exif_fields_are_read(tmp_path: Path, kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0110] = 'prompt:{"1": {"class_type": "KSampler", "is_changed": [NaN]}}'
    exif[0x010F] = 'workflow:{"nodes": []}'
    exif[0x0131] = "made by: somebody"
    Pillow.new("RGB", (8, 8)).save(tmp_path / f"one.{kind}", exif=exif)
    found = read_embedded(tmp_path / f"one.{kind}")
    assert found.prompt == {"1": {"class_type": "KSampler", "is_changed": [None]}}
    assert (found.workflow, found.editor, found.record) == (None, {"nodes": []}, None)


def test_a_plain_picture_carries_nothing(tmp_path: Path) -> None:
    write_png(tmp_path / "one.png", FRAMES[0])
    assert read_embedded(tmp_path / "one.png") == Embedded()


def test_texts_of_others_are_passed_over(tmp_path: Path) -> None:
    chunks = PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 20")
    Pillow.new("RGB", (8, 8)).save(tmp_path / "one.png", pnginfo=chunks)
    assert read_embedded(tmp_path / "one.png") == Embedded()


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "nothing"], ids=["cut", "deep", "word"])
def test_a_damaged_text_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    write_png(tmp_path / "one.png", FRAMES[0], {"prompt": text})
    with pytest.raises(EmbeddedError, match=r"one\.png: its text 'prompt' is damaged"):
        read_embedded(tmp_path / "one.png")


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for path, told in ((tmp_path / "one.png", "not a readable picture"), (tmp_path / "two.png", "no such file")):
        with pytest.raises(EmbeddedError, match=told):
            read_embedded(path)
