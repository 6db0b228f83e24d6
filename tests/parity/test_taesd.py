"""Tiny autoencoders against diffusers' AutoencoderTiny on the same random weights, in every layout of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion.autoencoding import decode, encode
from nodegraph.diffusion.tiny import load_tiny_vae, tiny_files

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module", params=[4, 16])
def reference(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    channels = request.param
    return diffusers.AutoencoderTiny(latent_channels=channels).eval().requires_grad_(False)


def renumbered(weights: Mapping[str, Tensor], half: str, start: str) -> dict[str, Tensor]:
    """Return a half in its authors' names: a decoder's first layer, which bends values, has no weights."""
    later = half == "decoder"
    found = {}
    for name, tensor in weights.items():
        if name.startswith(f"{half}.layers."):
            index, _, rest = name.removeprefix(f"{half}.layers.").partition(".")
            found[f"{start}{int(index) + later}.{rest}"] = tensor
    return found


def written(folder: Path, weights: Mapping[str, Tensor], layout: str, name: str) -> Path:
    """Write the weights in a layout and return the file to be named."""
    match layout:
        case "pair":
            for half in ("encoder", "decoder"):
                save_file(renumbered(weights, half, ""), folder / f"{name}_{half}.safetensors")
            return folder / f"{name}_decoder.safetensors"
        case "one file":
            both = {
                **renumbered(weights, "encoder", "taesd_encoder."),
                **renumbered(weights, "decoder", "taesd_decoder."),
            }
            save_file(both, folder / f"{name}.safetensors")
            return folder / f"{name}.safetensors"
        case "diffusers file":
            save_file(dict(weights), folder / f"{name}.safetensors")
            return folder / f"{name}.safetensors"
    place = folder / name
    place.mkdir()
    save_file(dict(weights), place / "diffusion_pytorch_model.safetensors")
    return place


SCALES = {"taesd": (0.18215, 0.0), "taesdxl": (0.13025, 0.0), "taesd3": (1.5305, 0.0609), "taef1": (0.3611, 0.1159)}


@pytest.mark.parametrize("layout", ["pair", "one file", "diffusers file", "diffusers folder"])
@pytest.mark.parametrize("name", SCALES)
def test_encodes_and_decodes_as_diffusers(tmp_path: Path, reference: Any, layout: str, name: str) -> None:
    if (reference.config.latent_channels == 4) != (name in ("taesd", "taesdxl")):
        pytest.skip("of other latents")
    scale, shift = SCALES[name]
    path = written(tmp_path, reference.state_dict(), layout, name)
    files = tiny_files(path)
    assert len(files) == (2 if layout == "pair" else 1)
    vae = load_tiny_vae(files, device="cpu", dtype="fp32")
    draws = torch.Generator().manual_seed(1)
    pixels = torch.rand(2, 24, 40, 3, generator=draws)
    expected = reference.encode(pixels.movedim(-1, 1) * 2 - 1).latents / scale + shift
    torch.testing.assert_close(encode(vae, pixels), expected, rtol=1e-4, atol=1e-5)
    latents = torch.randn(2, vae.latent_channels, 3, 5, generator=draws) * 5
    wanted = (reference.decode((latents - shift) * scale).sample.movedim(1, -1) / 2 + 0.5).clamp(0, 1)
    assert float(wanted.std()) > 0.001
    torch.testing.assert_close(decode(vae, latents), wanted, rtol=1e-4, atol=1e-5)
