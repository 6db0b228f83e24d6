"""Tiny autoencoders from files: what is found beside what, and what is wrong with files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nodegraph.diffusion.autoencoding import decode, encode
from nodegraph.diffusion.models.taesd import Taesd, TaesdConfig
from nodegraph.diffusion.tiny import load_tiny_vae, tiny_files
from nodegraph.diffusion.values import LatentFormat
from nodegraph.diffusion.weights.errors import IncompleteModelError, NotSafetensorsError, UnknownModelError
from nodegraph.diffusion.weights.layouts.taesd import decoder_name, latent_format, partner

NETWORK = Taesd(TaesdConfig(channels=8)).requires_grad_(False)
WEIGHTS = {half: {} for half in ("encoder", "decoder")}  # type: dict[str, dict[str, torch.Tensor]]
for _name, _tensor in NETWORK.state_dict().items():
    _half, _, _rest = _name.partition(".")
    WEIGHTS[_half][_rest] = _tensor


def write(folder: Path, name: str, half: str, **changes: torch.Tensor | None) -> Path:
    """Write a half; `changes` replace tensors, None takes one out."""
    weights = {**WEIGHTS[half], **{key: tensor for key, tensor in changes.items() if tensor is not None}}
    save_file({key: weights[key] for key in weights if changes.get(key, 0) is not None}, folder / name)
    return folder / name


def test_halves_find_one_another(tmp_path: Path) -> None:
    encoder, decoder = (write(tmp_path, f"taesd_{half}.safetensors", half) for half in WEIGHTS)
    assert tiny_files(encoder) == (encoder, decoder)
    assert tiny_files(decoder) == (decoder, encoder)
    decoder.unlink()
    assert tiny_files(encoder) == (encoder,)


def test_what_is_beside_by_name_alone_is_left_alone(tmp_path: Path) -> None:
    encoder = write(tmp_path, "my_encoder.safetensors", "encoder")
    write(tmp_path, "my_decoder.safetensors", "encoder")
    assert tiny_files(encoder) == (encoder,)


def test_half_an_autoencoder_tells_what_it_lacks(tmp_path: Path) -> None:
    vae = load_tiny_vae(tiny_files(write(tmp_path, "taesd_decoder.safetensors", "decoder")), device="cpu", dtype="fp32")
    assert decode(vae, torch.zeros(1, 4, 2, 3)).shape == (1, 16, 24, 3)
    with pytest.raises(ValueError, match="no encoder: its file with 'encoder' in the name is needed too"):
        encode(vae, torch.zeros(1, 16, 16, 3))


def test_precision_and_device_are_those_asked_for(tmp_path: Path) -> None:
    vae = load_tiny_vae([write(tmp_path, "taesd_decoder.safetensors", "decoder")], device="cpu", dtype="bf16")
    assert vae.network.dtype == torch.bfloat16
    assert decode(vae, torch.zeros(1, 4, 2, 2)).dtype == torch.float32
    assert (vae.downscale, vae.latent_channels) == (8, 4)


def test_other_weights_are_none(tmp_path: Path) -> None:
    save_file({"0.weight": torch.zeros(2, 2), "model.3.conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert tiny_files(tmp_path / "other.safetensors") == ()
    assert tiny_files(tmp_path) == (tmp_path / "other.safetensors",)[:0]
    with pytest.raises(UnknownModelError):
        load_tiny_vae([tmp_path / "other.safetensors"], device="cpu")
    (tmp_path / "text.safetensors").write_bytes(b"{}")
    with pytest.raises((NotSafetensorsError, Exception), match=r"text\.safetensors"):
        tiny_files(tmp_path / "text.safetensors")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    changes = {"5.conv.2.bias": None, "19.weight": torch.zeros(3, 9, 3, 3), "99.weight": torch.zeros(1, 1, 3, 3)}
    path = write(tmp_path, "taesd_decoder.safetensors", "decoder", **changes)
    told = (
        r"decoder\.19\.weight is \[3, 9, 3, 3\], expected \[3, 8, 3, 3\]; no decoder\.5\.conv\.2\.bias; "
        r"unknown tensor decoder\.99\.weight"
    )
    with pytest.raises(IncompleteModelError, match=told):
        load_tiny_vae([path], device="cpu")
    numbers = write(tmp_path, "taesd_decoder.safetensors", "decoder", **{"1.bias": torch.zeros(8, dtype=torch.int32)})
    with pytest.raises(IncompleteModelError, match=r"decoder\.1\.bias is stored as I32, expected floating point"):
        load_tiny_vae([numbers], device="cpu")


def test_latents_of_other_channels_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "taesd_decoder.safetensors", "decoder")
    with pytest.raises(IncompleteModelError, match="latents of 4 channels, expected 16"):
        load_tiny_vae([path], device="cpu", latent=LatentFormat(16, 0.5))


@pytest.mark.parametrize(
    ("name", "channels", "scale", "shift"),
    [
        ("taesd_decoder.safetensors", 4, 0.18215, 0.0),
        ("taesdxl_encoder.safetensors", 4, 0.13025, 0.0),
        ("TAESDXL.safetensors", 4, 0.13025, 0.0),
        ("folder/my-sdxl-tiny.safetensors", 4, 0.13025, 0.0),
        ("anything.safetensors", 4, 0.18215, 0.0),
        ("taesd3_decoder.safetensors", 16, 1.5305, 0.0609),
        ("tiny-flux.safetensors", 16, 0.3611, 0.1159),
        ("taesd.safetensors", 16, 0.3611, 0.1159),
        ("strange.safetensors", 7, 1.0, 0.0),
    ],
)
def test_names_tell_of_which_latents_it_is(name: str, channels: int, scale: float, shift: float) -> None:
    assert latent_format(name, channels) == LatentFormat(channels, scale, shift)


def test_the_decoder_for_latents_is_found_by_name() -> None:
    names = (
        "other_decoder.safetensors",
        "taesd_encoder.safetensors",
        "taesdxl_decoder.safetensors",
        "sub/taesd.safetensors",
    )
    assert decoder_name(LatentFormat(4, 0.18215), names) == "sub/taesd.safetensors"
    assert decoder_name(LatentFormat(4, 0.13025), names) == "taesdxl_decoder.safetensors"
    assert decoder_name(LatentFormat(4, 0.7), names) is None
    assert decoder_name(LatentFormat(16, 0.3611, 0.1159), names) is None


def test_partners_are_named() -> None:
    assert partner("a/taesd_decoder.safetensors") == "a/taesd_encoder.safetensors"
    assert partner("taesd-encoder-v2.safetensors") == "taesd-decoder-v2.safetensors"
    assert partner("taesd.safetensors") is None


def test_a_sample_of_its_latents_is_the_latents() -> None:
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    posterior = NETWORK.encode(images)
    assert torch.equal(posterior.sample(torch.Generator().manual_seed(1)), posterior.mode())
    assert NETWORK(images).shape == images.shape


def test_neither_half_is_none() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        TaesdConfig(encodes=False, decodes=False)
