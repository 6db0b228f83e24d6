"""What became of the models that a picture was made with, and of the device."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph.engine.spec import Json
from nodegraph.runtime import Options
from nodegraph.verification import Verifier
from tests.verification.pictures import Make, Verify, edit

SAMPLED: dict[str, Json] = {
    "model": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": "mine.safetensors"}},
    "prompt": {"type": "CLIPTextEncode", "params": {"text": "a cat"}, "links": {"clip": "model.clip"}},
    "empty": {"type": "EmptyLatentImage", "params": {"width": 32, "height": 32}},
    "sample": {
        "type": "KSampler",
        "params": {"steps": 1, "seed": 5},
        "links": {
            "model": "model.model",
            "positive": "prompt.out",
            "negative": "prompt.out",
            "latent_image": "empty.out",
        },
    },
    "decode": {"type": "VAEDecode", "links": {"samples": "sample.out", "vae": "model.vae"}},
    "save": {"type": "SaveImage", "links": {"images": "decode.out"}},
}


@pytest.fixture
def models(tiny_models: Path, tmp_path: Path) -> Path:
    """Return a folder of models of the test's own, with the checkpoint `mine`."""
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    shutil.copyfile(tiny_models / "checkpoints" / "tiny.safetensors", folder / "mine.safetensors")
    return folder


@pytest.fixture
def picture(models: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(models.parent.parent)  # whose folder `models` is looked into
    return make(SAMPLED)[0]


def changed(models: Path) -> None:
    """Write other weights into the checkpoint."""
    with safe_open(models / "mine.safetensors", "pt") as file:
        metadata = file.metadata()
    tensors = load_file(models / "mine.safetensors")
    tensors = {name: tensor + 0.05 if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(tensors, models / "mine.safetensors", metadata)


def test_the_same_model_makes_the_same_picture(picture: Path, verify: Verify) -> None:
    (report,) = verify(picture)
    assert (report.verdict, report.differences, report.notes) == ("same", (), ())


def test_a_model_of_another_name_is_found_by_its_content(picture: Path, models: Path, verify: Verify) -> None:
    (models / "sd").mkdir()
    (models / "mine.safetensors").rename(models / "sd" / "renamed.safetensors")
    (report,) = verify(picture, models=())
    assert (report.verdict, report.differences) == ("same", ())
    assert report.notes == (
        "checkpoints/mine.safetensors: no file has that name, checkpoints/sd/renamed.safetensors has the same content "
        "and was taken",
    )


def test_a_file_whose_sha256_is_known_is_not_read_to_find_it(
    picture: Path, models: Path, options: Options, tmp_path: Path
) -> None:
    (models / "mine.safetensors").rename(models / "renamed.safetensors")
    chosen = Options(**{**vars(options), "models": (), "data": tmp_path / "index"})
    told: list[str] = []
    for _ in range(2):
        assert [report.verdict for report in Verifier(chosen, tell=told.append).verify([picture])] == ["same"]
    assert len(told) == 1, "the second time it is known"
    assert told[0].startswith("looking among the checkpoints for sha256 ")


def test_a_model_of_that_name_with_other_content_is_told(picture: Path, models: Path, verify: Verify) -> None:
    changed(models)
    (report,) = verify(picture, models=())
    assert report.verdict == "differs", report.reason
    assert [(one.kind, one.what) for one in report.differences] == [("file", "checkpoints/mine.safetensors")]
    assert report.pixels is not None
    assert report.pixels.differing > 0


def test_the_right_content_is_preferred_to_the_right_name(
    picture: Path, models: Path, tiny_models: Path, verify: Verify
) -> None:
    changed(models)
    (report,) = verify(picture, models=(tiny_models,))
    assert report.verdict == "same"
    assert "the file of that name has other content, checkpoints/tiny.safetensors has the same" in report.notes[0]


def test_a_model_that_is_nowhere_is_told_with_what_would_help(picture: Path, models: Path, verify: Verify) -> None:
    (models / "mine.safetensors").unlink()
    (report,) = verify(picture, models=())
    assert report.verdict == "cannot"
    assert "checkpoints/mine.safetensors (sha256 " in report.reason
    assert "--models" in report.reason


def test_the_record_s_precision_is_taken_unless_another_is_asked_for(picture: Path, verify: Verify) -> None:
    assert verify(picture)[0].verdict == "same"
    (report,) = verify(picture, dtype="bf16")
    assert report.verdict == "differs", report.reason
    assert [(one.what, one.then, one.now) for one in report.differences] == [("dtype", "float32", "bfloat16")]


def test_a_device_that_is_not_here_is_told_and_another_taken(picture: Path, verify: Verify) -> None:
    def elsewhere(texts: dict[str, Any]) -> None:
        texts["nodegraph_record"].update(device="cuda:7", device_name="NVIDIA Something")

    (report,) = verify(edit(picture, elsewhere))
    told = {one.what: (one.then, one.now) for one in report.differences}
    assert told["device"][0] == "cuda:7"
    assert set(told) == {"device", "device name"}
    if not torch.cuda.is_available():
        assert (report.verdict, told["device"][1]) == ("same", "cpu")


def test_a_learned_word_is_told_and_found_like_a_model(
    models: Path, make: Make, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent.parent)
    words = models.parent / "embeddings"
    words.mkdir()
    save_file(
        {"emb_params": torch.randn(2, 16, generator=torch.Generator().manual_seed(0))}, words / "fluffy.safetensors"
    )
    text = {"type": "PrimitiveString", "params": {"value": "a cat, embedding:fluffy"}}
    prompt = {"type": "CLIPTextEncode", "links": {"clip": "model.clip", "text": "text.out"}}
    (picture,) = make({**SAMPLED, "text": text, "prompt": prompt})
    assert [report.verdict for report in verify(picture)] == ["same"]
    (words / "fluffy.safetensors").rename(words / "soft.safetensors")
    (report,) = verify(picture)
    assert report.verdict == "same"
    assert report.notes[0].startswith("embeddings/fluffy.safetensors: no file has that name")
    (words / "soft.safetensors").unlink()
    (report,) = verify(picture)
    assert report.verdict == "cannot"
    assert "embeddings/fluffy.safetensors" in report.reason
