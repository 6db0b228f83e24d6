"""Previews by a tiny autoencoder: which file is taken for which latents, how large, and how often."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import save_file

from nodegraph.diffusion.models.taesd import Taesd, TaesdConfig
from nodegraph.diffusion.values import Image, Latent, LatentFormat, LatentPreview
from nodegraph.engine.folders import Folders
from nodegraph.server.settings import Settings
from nodegraph.workers import previews as previews_module
from nodegraph.workers.hooks import Encoded
from nodegraph.workers.previews import Previews
from nodegraph.workers.tiny_previews import PreviewKind, TinyPreviews
from tests.workers.conftest import started
from tests.workers.test_channel import Ends
from tests.workers.test_offline import TEXT_TO_IMAGE

SD1, XL, OWN = LatentFormat(4, 0.18215), LatentFormat(4, 0.13025), LatentFormat(4, 0.5)


def write(folder: Path, name: str, seed: int = 0) -> Taesd:
    """Write a decoder of few channels in its authors' names."""
    torch.manual_seed(seed)
    network = Taesd(TaesdConfig(channels=8, encodes=False)).requires_grad_(False).eval()
    weights = {name.removeprefix("decoder."): tensor for name, tensor in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / name)
    return network


def tiny(folder: Path, kind: PreviewKind = "taesd") -> TinyPreviews:
    return TinyPreviews(Folders({"vae_approx": (folder,)}), "cpu", kind)


def latent(format: LatentFormat, height: int = 6, width: int = 8) -> LatentPreview:
    draws = torch.Generator().manual_seed(1)
    return LatentPreview(torch.randn(2, 4, height, width, generator=draws) * 5, format=format)


def test_the_file_for_the_latents_decodes_them(tmp_path: Path) -> None:
    networks = {
        SD1: write(tmp_path, "taesd_decoder.safetensors"),
        XL: write(tmp_path, "taesdxl_decoder.safetensors", 1),
    }
    write(tmp_path, "taesdxl_encoder.safetensors", 2)
    decoder = tiny(tmp_path)
    for format, network in networks.items():
        preview = latent(format)
        shown = decoder.decoded(preview)
        assert shown is not None
        network.config = TaesdConfig(channels=8, scale_factor=format.scale, encodes=False)
        expected = network.decode(preview.samples[:1])[0].movedim(0, -1) / 2 + 0.5
        torch.testing.assert_close(
            shown.pixels, expected.clamp(0, 1), rtol=1e-2, atol=1e-2
        )  # in the device's precision
        assert shown.seconds > 0
    assert decoder.decoded(latent(OWN)) is None


def test_only_latents_on_their_way_are_decoded(tmp_path: Path) -> None:
    write(tmp_path, "taesd_decoder.safetensors")
    values = [Image(torch.zeros(1, 4, 4, 3)), Latent(latent(SD1).samples), "text", None]
    assert [tiny(tmp_path).decoded(value) for value in values] == [None] * 4


@pytest.mark.parametrize("kind", ["auto", "colors", "none"])
def test_on_a_cpu_they_are_decoded_only_where_that_is_asked_for(tmp_path: Path, kind: PreviewKind) -> None:
    write(tmp_path, "taesd_decoder.safetensors")
    assert tiny(tmp_path, kind).decoded(latent(SD1)) is None


def test_large_latents_are_made_smaller_first(tmp_path: Path) -> None:
    write(tmp_path, "taesd_decoder.safetensors")
    shown = tiny(tmp_path).decoded(latent(SD1, 48, 96))
    assert shown is not None
    assert shown.pixels.shape == (12 * 8, 24 * 8, 3)


def test_a_file_that_comes_later_is_found_at_the_next_job(tmp_path: Path) -> None:
    decoder = tiny(tmp_path / "not yet")
    assert decoder.decoded(latent(SD1)) is None
    write(tmp_path / "not yet", "taesd_decoder.safetensors")
    assert decoder.decoded(latent(SD1)) is None
    decoder.forget()
    assert decoder.decoded(latent(SD1)) is not None


def test_a_file_that_is_none_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taesd_decoder.safetensors").write_bytes(b"nothing")
    decoder = tiny(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert decoder.decoded(latent(SD1)) is None
        assert decoder.decoded(latent(SD1)) is None
    assert len(caplog.records) == 1
    assert "taesd_decoder.safetensors" in caplog.text


def test_folders_without_such_a_kind_are_no_trouble() -> None:
    assert TinyPreviews(Folders({}), "cpu", "taesd").decoded(latent(SD1)) is None


def previews(tmp_path: Path, kind: PreviewKind, ends: Ends, hook: Callable[..., Any] = lambda value: None) -> Previews:
    made = Previews(ends.channel, hook, tiny(tmp_path, kind))
    made.on = True
    return made


def test_they_are_shown_so_rarely_that_they_take_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "taesd_decoder.safetensors")
    monkeypatch.setattr(previews_module, "SHARE", 1e-9)  # so that a second one would come in a minute
    ends = Ends()
    shown = previews(tmp_path, "taesd", ends)
    shown.show("job", "node", latent(SD1))
    header, _ = ends.frame()
    assert (header["width"], header["height"]) == (64, 48)
    shown.show("job", "node", latent(SD1))
    time.sleep(0.5)
    shown.show("job", "other", latent(SD1))
    header, _ = ends.frame()
    assert header["node"] == "other", "the second of the first node still waits"


def test_without_a_file_colours_are_shown(tmp_path: Path) -> None:
    ends = Ends()
    previews(tmp_path, "taesd", ends).show("job", "node", latent(SD1))
    header, _ = ends.frame()
    assert (header["width"], header["height"]) == (8, 6)


def test_none_at_all_are_shown_where_none_are_wanted(tmp_path: Path) -> None:
    ends, asked = Ends(), threading.Event()

    def hook(value: Any) -> Encoded | None:
        asked.set()
        return None

    previews(tmp_path, "none", ends, hook).show("job", "node", latent(SD1))
    assert not asked.wait(0.3)


@pytest.mark.parametrize(("kind", "size"), [("taesd", 64), ("colors", 8)])
async def test_a_worker_shows_pictures_as_it_was_told(
    tmp_path: Path, tiny_models: Path, kind: PreviewKind, size: int
) -> None:
    write(tmp_path / "models" / "vae_approx", "taesd_decoder.safetensors")
    settings = Settings(
        data=tmp_path / "data", preload=False, preview=kind, models=(tiny_models, tmp_path / "models"), devices=("cpu",)
    )
    nodes: dict[str, Any] = deepcopy(TEXT_TO_IMAGE)
    nodes["model"]["params"]["ckpt_name"] = "tiny.safetensors"
    nodes["sample"]["params"]["steps"] = 200
    async with started(settings, tmp_path / "stage") as worker:
        result = await worker.run(nodes, previews=True)
        assert result["state"] == "done", result["failure"]
        (header, data), *_ = worker.tells("preview")
    assert (header["node"], header["width"], header["height"]) == ("sample", size, size)
    assert Pillow.open(io.BytesIO(data)).size == (size, size)
