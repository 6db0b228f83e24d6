"""Checkpoints merged into files that load like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.merging.blocks import Even, mbw
from nodegraph.diffusion.merging.files import bake, merge_checkpoints, model_shapes
from nodegraph.diffusion.merging.methods import AddDifference, MergeError, WeightedSum
from nodegraph.diffusion.models.unet import UNetConfig
from nodegraph.diffusion.weights.load import load_checkpoint, open_checkpoint
from nodegraph.diffusion.weights.save import save_weights

Checkpoint = Callable[..., Path]
UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer."
SMALL = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=24, heads=4, groups=8
)


def test_a_weighted_sum_of_two_files(tmp_path: Path, checkpoint: Checkpoint) -> None:
    one, two = checkpoint(1), checkpoint(2)
    told: list[tuple[int, int]] = []
    path = merge_checkpoints(
        tmp_path / "merged.safetensors",
        [one, two],
        WeightedSum(Even(0.25)),
        dtype=torch.float32,
        about={"title": "both"},
        tell=lambda done, total: told.append((done, total)),
    )
    merged, a, b = load_file(path), load_file(one), load_file(two)
    assert merged.keys() == a.keys()
    for name, tensor in merged.items():
        share = 0.0 if name.startswith("first_stage_model.") else 0.25
        torch.testing.assert_close(tensor, torch.lerp(a[name], b[name], share))
    assert told[-1][0] == told[-1][1] > 0
    loaded, first = load_checkpoint(path, device="cpu"), load_checkpoint(one, device="cpu")
    assert loaded.unet.config == first.unet.config
    assert loaded.vae.config == first.vae.config


def test_each_block_its_share_and_half_precision(tmp_path: Path, checkpoint: Checkpoint) -> None:
    one, two = checkpoint(1), checkpoint(2)
    shares = [0.0] * 25
    shares[1] = 1.0  # IN01
    path = merge_checkpoints(tmp_path / "merged.safetensors", [one, two], WeightedSum(mbw(shares, base=1.0)))
    merged, a, b = load_file(path), load_file(one), load_file(two)
    for name, tensor in merged.items():
        other = name.startswith((f"{UNET}input_blocks.1.", TEXT))
        assert torch.equal(tensor, (b if other else a)[name].half()), name


def test_what_was_learned_is_carried_over_to_an_inpainting_model(tmp_path: Path, checkpoint: Checkpoint) -> None:
    inpainting = checkpoint(1, replace(SMALL, in_channels=9))
    tuned, base = checkpoint(2), checkpoint(3)
    path = merge_checkpoints(
        tmp_path / "merged.safetensors", [inpainting, tuned, base], AddDifference(Even(1.0)), dtype=torch.float32
    )
    merged, a, b, c = (load_file(file)[f"{UNET}input_blocks.0.0.weight"] for file in (path, inpainting, tuned, base))
    torch.testing.assert_close(merged[:, :4], a[:, :4] + b - c)
    assert torch.equal(merged[:, 4:], a[:, 4:])
    assert load_checkpoint(path, device="cpu").unet.config.in_channels == 9


def test_models_of_different_sizes_are_refused_and_leave_no_file(tmp_path: Path, checkpoint: Checkpoint) -> None:
    one, wide = checkpoint(1), checkpoint(2, replace(SMALL, channels=32))
    with pytest.raises(MergeError, match=r"unet: .* is \[16\] and \[32\]: models of one kind"):
        merge_checkpoints(tmp_path / "merged.safetensors", [one, wide], WeightedSum(Even(0.5)))
    assert not (tmp_path / "merged.safetensors").exists()


def test_loras_are_baked_in_at_strengths_of_their_own(tmp_path: Path, checkpoint: Checkpoint) -> None:
    base = checkpoint(1)
    layers = {
        "lora_unet_mid_block_attentions_0_proj_in": 32,
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj": 24,
    }
    tensors = {f"{layer}.lora_up.weight": torch.ones(width, 1) for layer, width in layers.items()}
    tensors |= {f"{layer}.lora_down.weight": torch.ones(1, width) for layer, width in layers.items()}
    save_file(tensors, tmp_path / "lora.safetensors")
    matched = match(read_adapter(tmp_path / "lora.safetensors"), model_shapes(base)).checked()
    path = bake(tmp_path / "baked.safetensors", base, [(matched, 0.5, 2.0), (matched, 1.0, 0.0)], dtype=torch.float32)
    baked, plain = load_file(path), load_file(base)
    added = {name: float((baked[name] - plain[name]).mean()) for name in plain}
    changed = {
        f"{UNET}middle_block.1.proj_in.weight": 1.5,
        f"{TEXT}text_model.encoder.layers.0.self_attn.q_proj.weight": 2.0,
    }
    assert {name: value for name, value in added.items() if value} == pytest.approx(changed, rel=1e-4)


def test_some_parts_can_be_saved_alone(tmp_path: Path, checkpoint: Checkpoint) -> None:
    opened = open_checkpoint(checkpoint(1), device="cpu")
    weights = {name: blueprint.weights for name, blueprint in opened.blueprints.items()}
    path = save_weights(tmp_path / "unet.safetensors", {"unet": weights["unet"]}, opened.configs, dtype=None)
    assert all(name.startswith(UNET) and tensor.dtype == torch.float32 for name, tensor in load_file(path).items())
    with pytest.raises(ValueError, match="got the parts"):
        save_weights(path, {"net": weights["unet"]}, opened.configs)
