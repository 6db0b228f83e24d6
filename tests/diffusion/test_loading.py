"""From a checkpoint file to values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph.diffusion.loading import load, load_model
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, Latent, PromptStyle
from nodegraph.diffusion.weights.errors import MissingFileError
from nodegraph.nodes.conditioning import clip_prompt_style


@pytest.fixture(scope="module")
def checkpoint(tiny_models: Path) -> Path:
    return tiny_models / "checkpoints" / "tiny.safetensors"


@pytest.mark.parametrize("style", ["comfy", "a1111"])
def test_prompts_are_read_in_the_style_asked_for(checkpoint: Path, style: PromptStyle) -> None:
    loaded = load(checkpoint, device="cpu", dtype="fp32").clip
    clip = clip_prompt_style(loaded, style)
    (read,), (expected,) = (encode_prompt(clip, "a [cat]", style=each).entries for each in (None, style))
    (plain,) = encode_prompt(loaded, "a [cat]").entries
    assert torch.equal(read.embedding, expected.embedding)
    assert torch.equal(read.embedding, plain.embedding) is (style == "comfy")


def test_networks_lie_where_and_as_they_were_asked_for(checkpoint: Path) -> None:
    loaded = load(checkpoint, device="cpu", dtype="bf16")
    for network in (loaded.model.network, loaded.clip.network, loaded.vae.network):
        assert (network.device, network.dtype) == (torch.device("cpu"), torch.bfloat16)


@pytest.mark.parametrize(("channels", "kind"), [(4, ""), (9, "inpaint"), (8, "image")])
def test_what_a_model_sees_beside_the_sample_is_told_by_its_first_layer(
    checkpoint: Path, tmp_path: Path, channels: int, kind: str
) -> None:
    tensors, first = load_file(checkpoint), "model.diffusion_model.input_blocks.0.0.weight"
    tensors[first] = torch.zeros(tensors[first].shape[0], channels, 3, 3)
    with safe_open(checkpoint, framework="pt") as file:
        save_file(tensors, tmp_path / "model.safetensors", file.metadata())
    model = load(tmp_path / "model.safetensors", device="cpu", dtype="fp32").model
    assert (model.family, model.concat, model.latent.channels) == ("sd1", kind, 4)
    samples = Latent(torch.randn(1, 4, 4, 4))
    prompt = Conditioning((ConditioningEntry(torch.zeros(1, 77, 16)),))
    run = sample(model, prompt, prompt, samples, seed=1, steps=1, cfg=2.0, sampler="euler", scheduler="normal")
    assert run.result().samples.shape == (1, 4, 4, 4)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_network_that_is_alone_in_its_file_is_the_checkpoints(checkpoint: Path, tmp_path: Path, prefix: str) -> None:
    start = "model.diffusion_model."
    tensors = {
        prefix + name.removeprefix(start): tensor
        for name, tensor in load_file(checkpoint).items()
        if name.startswith(start)
    }
    with safe_open(checkpoint, framework="pt") as file:
        save_file(tensors, tmp_path / "unet.safetensors", file.metadata())
    alone, whole = (
        load_model(path, device="cpu", dtype="fp32") for path in (tmp_path / "unet.safetensors", checkpoint)
    )
    assert (alone.latent, alone.prediction, alone.schedule) == (whole.latent, whole.prediction, whole.schedule)
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 16)
    with alone.network.lend() as one, whole.network.lend() as other, torch.no_grad():
        assert torch.allclose(one(x, torch.ones(1), context), other(x, torch.ones(1), context), atol=1e-5)


def test_nothing_is_read_but_headers_until_a_network_is_used(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(checkpoint.read_bytes())
    loaded = load(copy, device="cpu", dtype="fp32")
    copy.unlink()
    with pytest.raises(MissingFileError, match=r"copy\.safetensors"), loaded.vae.network.lend():
        pass


def test_weights_of_eight_bits_are_used_at_the_precision_of_the_run(checkpoint: Path, tmp_path: Path) -> None:
    eight = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(checkpoint).items()}
    with safe_open(checkpoint, framework="pt") as file:
        save_file(eight, tmp_path / "eight.safetensors", file.metadata())
    network = load(tmp_path / "eight.safetensors", device="cpu", dtype="fp32").model.network
    with network.lend() as found:
        weights = dict(found.named_parameters())
    name = "input_blocks.0.0.weight"
    assert torch.equal(weights[name], eight[f"model.diffusion_model.{name}"].float())
