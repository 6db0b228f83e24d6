"""LoRA nodes in workflows: what is put on a model, added up, taken out of models and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph import NodeError
from nodegraph.diffusion.memory.manager import active
from tests.nodes.models import LAYER, LOAD, OTHER, UNET, Bench, lora, random, variant

TO_V = f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_v.weight"


@pytest.fixture
def bench(tiny_models: Path, tmp_path: Path) -> Bench:
    models = tmp_path / "models"
    (models / "checkpoints").mkdir(parents=True)
    tiny = models / "checkpoints" / "tiny.safetensors"
    tiny.symlink_to(tiny_models / "checkpoints" / "tiny.safetensors")
    variant(tiny, models / "checkpoints" / "other.safetensors", seed=7)
    lora(models / "loras" / "one.safetensors", seed=1)
    lora(models / "loras" / "two.safetensors", seed=2)
    return Bench(models, tmp_path / "output")


def put(name: str, model: str, clip: str, **strengths: Any) -> list[Any]:
    return ["LoraLoader", {"model": model, "clip": clip, "lora_name": f"{name}.safetensors", **strengths}]


def test_a_lora_changes_the_picture_by_its_strengths(bench: Bench) -> None:
    plain = bench.latent(LOAD)
    on = bench.latent({**LOAD, "put": put("one", "load.model", "load.clip")}, "put.model", "put.clip")
    off = {"strength_model": 0.0, "strength_clip": 0.0}
    none = bench.latent({**LOAD, "put": put("one", "load.model", "load.clip", **off)}, "put.model", "put.clip")
    text = {"strength_model": 0.0}
    words = bench.latent({**LOAD, "put": put("one", "load.model", "load.clip", **text)}, "put.model", "put.clip")
    assert torch.equal(plain, none)
    assert not torch.allclose(plain, on, atol=1e-3)
    assert not torch.allclose(plain, words, atol=1e-4)
    assert not torch.allclose(on, words, atol=1e-4)
    assert torch.equal(plain, bench.latent(LOAD)), "the model itself is as it was"


def test_switching_loras_makes_no_copy_of_the_model(bench: Bench) -> None:
    bench.latent(LOAD)
    held = active().holdings()
    for name in ("one", "two", "one"):
        bench.latent({**LOAD, "put": put(name, "load.model", "load.clip")}, "put.model", "put.clip")
    assert {(one.title, one.bytes) for one in active().holdings()} == {(one.title, one.bytes) for one in held}


def test_two_loras_at_once_are_the_one_that_they_combine_to(bench: Bench) -> None:
    first = {"strength_model": 0.5, "strength_clip": 0.5}
    both = {
        **LOAD,
        "a": put("one", "load.model", "load.clip", **first),
        "b": put("two", "a.model", "a.clip"),
    }
    combined = {
        **LOAD,
        "a": ["LoraFile", {"model": "load.model", "clip": "load.clip", "lora_name": "one.safetensors"}],
        "b": ["LoraFile", {"model": "load.model", "clip": "load.clip", "lora_name": "two.safetensors"}],
        "sum": ["LoraCombine", {"lora_1": "a.out", "lora_2": "b.out", "strength_1": 0.5}],
        "put": ["LoraApply", {"model": "load.model", "clip": "load.clip", "lora": "sum.out"}],
    }
    expected = bench.latent(both, "b.model", "b.clip")
    assert torch.allclose(bench.latent(combined, "put.model", "put.clip"), expected, rtol=1e-3, atol=1e-2)
    combined["sum"][1].update(method="rank", rank=4)
    assert torch.allclose(bench.latent(combined, "put.model", "put.clip"), expected, rtol=1e-2, atol=5e-2)


def test_block_weights_leave_out_the_blocks_of_weight_0(bench: Bench) -> None:
    inputs = {"model": "load.model", "clip": "load.clip", "lora_name": "one.safetensors"}
    nodes = {**LOAD, "put": ["LoraLoaderBlocks", {**inputs, "blocks": ",".join(["1"] * 17)}]}
    everywhere = bench.latent(nodes, "put.model", "put.clip")
    assert torch.equal(everywhere, bench.latent({**LOAD, "put": ["LoraLoader", inputs]}, "put.model", "put.clip"))
    nodes["put"][1]["blocks"] = "0,1,1,1,1,1,1,0,1,1,1,1,1,1,1,1,1"  # neither the text encoder nor M00
    assert torch.equal(bench.latent(nodes, "put.model", "put.clip"), bench.latent(LOAD))
    nodes["put"][1]["blocks"] = "1,2"
    with pytest.raises(NodeError, match=r"block weights: got 2 numbers, expected .*17"):
        bench.latent(nodes, "put.model", "put.clip")


def test_what_is_extracted_from_a_tuned_model_makes_it_of_its_base(bench: Bench) -> None:
    path = bench.models / "checkpoints" / "tuned.safetensors"
    tensors = load_file(bench.models / "checkpoints" / "tiny.safetensors")
    tensors[TO_V] = tensors[TO_V] + 0.1 * random(32, 2) @ random(2, 32)
    with safe_open(bench.models / "checkpoints" / "tiny.safetensors", "pt") as file:
        save_file(tensors, path, file.metadata())
    tuned = {"tuned": ["CheckpointLoaderSimple", {"ckpt_name": "tuned.safetensors"}]}
    taken = {
        "lora": ["LoraExtract", {"model": "tuned.model", "base_model": "load.model", "rank": 2}],
        "put": ["LoraModelLoader", {"model": "load.model", "lora": "lora.out"}],
    }
    expected = bench.latent({**LOAD, **tuned}, "tuned.model")
    assert torch.allclose(bench.latent({**LOAD, **tuned, **taken}, "put.out"), expected, rtol=1e-2, atol=5e-2)
    bench.run({**LOAD, **tuned, **taken, "save": ["SaveLoRANode", {"lora": "lora.out", "prefix": "loras/taken"}]})
    saved = load_file(bench.saved("loras"))
    assert set(saved) == {f"{LAYER}.{role}" for role in ("lora_up.weight", "lora_down.weight", "alpha")}
    assert saved[f"{LAYER}.lora_down.weight"].shape == (2, 32)


def test_the_difference_of_two_models_is_saved_as_a_lora(bench: Bench) -> None:
    nodes = {
        **LOAD,
        **OTHER,
        "model": ["ModelMergeSubtract", {"model1": "other.model", "model2": "load.model"}],
        "clip": ["CLIPMergeSubtract", {"clip1": "other.clip", "clip2": "load.clip"}],
        "save": [
            "LoraSave",
            {"model_diff": "model.out", "text_encoder_diff": "clip.out", "rank": 32, "filename_prefix": "loras/whole"},
        ],
    }
    bench.run(nodes)
    bench.saved("loras").rename(bench.models / "loras" / "difference.safetensors")
    on = bench.latent({**LOAD, "put": put("difference", "load.model", "load.clip")}, "put.model", "put.clip")
    expected = bench.latent({**LOAD, **OTHER}, "other.model", "other.clip")
    plain = bench.latent(LOAD)
    assert (on - expected).abs().mean() < 0.2 * (plain - expected).abs().mean(), "but for embeddings and fp16"


def test_a_lora_for_another_family_is_refused_by_its_name(bench: Bench) -> None:
    flux = {
        "lora_unet_double_blocks_0_img_attn_proj.lora_up.weight": torch.zeros(3072, 4),
        "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": torch.zeros(4, 3072),
    }
    save_file(flux, bench.models / "loras" / "flux.safetensors")
    with pytest.raises(NodeError, match=r"0 of its 1 layers fit this model; it was made for .*F[Ll][Uu][Xx]"):
        bench.latent({**LOAD, "put": put("flux", "load.model", "load.clip")}, "put.model", "put.clip")


def test_layers_that_do_not_fit_are_warned_of(bench: Bench) -> None:
    path = bench.models / "loras" / "wide.safetensors"
    save_file(
        {
            **load_file(bench.models / "loras" / "one.safetensors"),
            "lora_unet_conv_in.lora_up.weight": torch.zeros(320, 4, 1, 1),
            "lora_unet_conv_in.lora_down.weight": torch.zeros(4, 4, 3, 3),
        },
        path,
    )
    nodes = {**LOAD, "put": put("wide", "load.model", "load.clip")}
    (told,) = bench.run(nodes, "put").warnings["put"]
    assert "wide.safetensors: 2 of its 3 layers fit this model" in told


def test_words_that_come_with_a_lora_can_be_called_in_prompts(bench: Bench) -> None:
    tensors = load_file(bench.models / "loras" / "one.safetensors")
    save_file({**tensors, "bundle_emb.cat.string_to_param.*": random(2, 16)}, bench.models / "loras" / "b.safetensors")
    nodes = {**LOAD, "put": put("b", "load.model", "load.clip")}
    prompt = {"clip": "put.clip", "text": "embedding:cat"}
    given = bench.run({**nodes, "read": ["CLIPTextEncode", prompt]}, "read")
    assert "read" not in given.warnings
    other = bench.run({**nodes, "read": ["CLIPTextEncode", {**prompt, "text": "embedding:dog"}]}, "read")
    assert "no embedding is named 'dog'" in other.warnings["read"][0]
