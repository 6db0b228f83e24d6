"""From a checkpoint file to values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph.diffusion.loading import load
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, Latent, PromptStyle
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
