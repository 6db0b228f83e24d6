"""From a checkpoint file to values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph.diffusion.loading import load
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.values import PromptStyle
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
