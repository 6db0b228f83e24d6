"""Merging nodes in workflows: formulas by the tensors that are saved, and models that are used as merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph import NodeError
from tests.nodes.models import CLIP, LOAD, OTHER, UNET, Bench, lora, variant

Json = Any
Array = np.ndarray[Any, np.dtype[np.float32]]
TIME, FIRST, MIDDLE, LAST = (
    "time_embed.0.weight",
    "input_blocks.1.0.in_layers.2.weight",
    "middle_block.0.in_layers.2.weight",
    "output_blocks.3.0.in_layers.2.weight",
)


@pytest.fixture
def bench(tiny_models: Path, tmp_path: Path) -> Bench:
    models = tmp_path / "models"
    (models / "checkpoints").mkdir(parents=True)
    tiny = models / "checkpoints" / "tiny.safetensors"
    tiny.symlink_to(tiny_models / "checkpoints" / "tiny.safetensors")
    variant(tiny, models / "checkpoints" / "other.safetensors", seed=7)
    variant(tiny, models / "checkpoints" / "third.safetensors", seed=8)
    lora(models / "loras" / "one.safetensors")
    return Bench(models, tmp_path / "output")


def stored(bench: Bench, name: str) -> dict[str, Array]:
    return {
        key: value.numpy() for key, value in load_file(bench.models / "checkpoints" / f"{name}.safetensors").items()
    }


def saved(bench: Bench, nodes: dict[str, Json], model: str = "merge.out") -> dict[str, Array]:
    third = {"third": ["CheckpointLoaderSimple", {"ckpt_name": "third.safetensors"}]}
    third = third if any("third." in str(inputs) for _, inputs in nodes.values()) else {}
    bench.run({**LOAD, **OTHER, **third, **nodes, "save": ["ModelSave", {"model": model}]})
    return {key: value.numpy() for key, value in load_file(bench.saved("diffusion_models")).items()}


def two(kind: str, **inputs: Json) -> dict[str, Json]:
    return {"merge": [kind, {"model1": "load.model", "model2": "other.model", **inputs}]}


FORMULAS: dict[str, tuple[dict[str, Json], Callable[[str, Array, Array], Array]]] = {
    "simple": (two("ModelMergeSimple", ratio=0.3), lambda name, a, b: 0.3 * a + 0.7 * b),
    "all of the first": (two("ModelMergeSimple"), lambda name, a, b: a),
    "add": (two("ModelMergeAdd"), lambda name, a, b: a + b),
    "subtract": (two("ModelMergeSubtract", multiplier=-2.0), lambda name, a, b: -2.0 * (a - b)),
    "blocks": (
        two("ModelMergeBlocks", input=0.9, middle=0.4, out=0.1),
        lambda name, a, b: a * (r := {"m": 0.4, "o": 0.1}.get(name[0], 0.9)) + b * (1 - r),
    ),
    "a block": (
        two("ModelMergeSD1", **{"middle_block_0": 0.25, "time_embed": 0.5}),
        lambda name, a, b: a * (r := {TIME: 0.5, MIDDLE: 0.25}.get(name, 1.0)) + b * (1 - r),
    ),
    "block weights": (
        two("ModelMergeMBW", blocks=",".join(["0.2"] * 12 + ["0.6"] + ["1"] * 12)),
        lambda name, a, b: a * (1 - (r := {MIDDLE: 0.6, LAST: 1.0}.get(name, 0.2))) + b * r,
    ),
    "preset": (two("ModelMergeMBW", preset="ALL_B"), lambda name, a, b: b),
    "difference": (
        {"merge": ["ModelMergeDifference", {**two("", base_model="load.model")["merge"][1], "multiplier": 0.5}]},
        lambda name, a, b: a + 0.5 * (b - a),
    ),
}


@pytest.mark.parametrize("how", FORMULAS)
def test_merged_tensors_are_what_the_formula_says(bench: Bench, how: str) -> None:
    nodes, formula = FORMULAS[how]
    merged, a, b = saved(bench, nodes), stored(bench, "tiny"), stored(bench, "other")
    assert set(merged) == {name for name in a if name.startswith(UNET)}
    for name in (TIME, FIRST, MIDDLE, LAST):
        np.testing.assert_allclose(merged[UNET + name], formula(name, a[UNET + name], b[UNET + name]), atol=1e-5)


def slerp(a: Array, b: Array, share: float) -> Array:
    angle = np.arccos((a / np.linalg.norm(a) * (b / np.linalg.norm(b))).sum())
    return np.asarray((np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle), np.float32)


def test_slerp_ties_and_dare_do_what_their_papers_say(bench: Bench) -> None:
    base, a, b = (stored(bench, name)[UNET + MIDDLE] for name in ("tiny", "other", "third"))
    merged = saved(bench, two("ModelMergeSlerp", ratio=0.25))[UNET + MIDDLE]
    np.testing.assert_allclose(merged, slerp(base, a, 0.75), atol=2e-4)
    three = {"base_model": "load.model", "model1": "other.model", "model2": "third.model"}
    ties = saved(bench, {"merge": ["ModelMergeTIES", {**three, "density": 1.0}]})[UNET + MIDDLE]
    sign = np.sign((a - base) + (b - base))
    agree = [np.where(np.sign(one - base) == sign, one - base, 0) for one in (a, b)]
    count = np.maximum(sum((one != 0).astype(np.float32) for one in agree), 1)
    np.testing.assert_allclose(ties, base + sum(agree) / count, atol=1e-5)
    dare = saved(bench, {"merge": ["ModelMergeDARE", {**three, "density": 1.0, "weight2": 0.5}]})[UNET + MIDDLE]
    np.testing.assert_allclose(dare, base + (a - base) + 0.5 * (b - base), atol=1e-5)
    half = saved(bench, {"merge": ["ModelMergeDARE", {**three, "density": 0.5, "weight2": 0.0, "seed": 3}]})
    kept = np.isclose(half[UNET + MIDDLE], base, atol=1e-7)
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose((half[UNET + MIDDLE] - base)[~kept], 2 * (a - base)[~kept], atol=1e-5)


def test_a_merged_model_draws_as_its_file_does(bench: Bench) -> None:
    nodes = {
        **LOAD,
        **OTHER,
        "put": ["LoraLoaderModelOnly", {"model": "other.model", "lora_name": "one.safetensors"}],
        "merge": ["ModelMergeSimple", {"model1": "load.model", "model2": "put.out", "ratio": 0.5}],
        "words": ["CLIPMergeSimple", {"clip1": "load.clip", "clip2": "other.clip", "ratio": 0.5}],
    }
    whole = {"model": "merge.out", "clip": "words.out", "vae": "load.vae", "filename_prefix": "checkpoints/merged"}
    bench.run({**nodes, "save": ["CheckpointSave", whole]})
    expected = bench.latent(nodes, "merge.out", "words.out")
    bench.saved("checkpoints").rename(bench.models / "checkpoints" / "merged.safetensors")
    again = {"load": ["CheckpointLoaderSimple", {"ckpt_name": "merged.safetensors"}]}
    assert torch.allclose(bench.latent(again), expected, rtol=1e-3, atol=1e-2)


def test_parts_are_saved_and_loaded_alone(bench: Bench) -> None:
    parts = {
        "unet": ["ModelSave", {"model": "other.model"}],
        "clip": ["CLIPSave", {"clip": "other.clip", "filename_prefix": "text_encoders/words"}],
        "vae": ["VAESave", {"vae": "other.vae"}],
    }
    bench.run({**OTHER, **parts})
    for kind in ("diffusion_models", "text_encoders", "vae"):
        (bench.models / kind).mkdir()
        bench.saved(kind).rename(bench.models / kind / "part.safetensors")
    words = load_file(bench.models / "text_encoders" / "part.safetensors")
    assert all(name.startswith(CLIP) for name in words)
    loaded = {
        "unet": ["UNETLoader", {"unet_name": "part.safetensors"}],
        "clip": ["CLIPLoader", {"clip_name": "part.safetensors"}],
        "vae": ["VAELoader", {"vae_name": "part.safetensors"}],
        "picture": ["EmptyImage", {"width": 32, "height": 32}],
        "encode": ["VAEEncode", {"pixels": "picture.out", "vae": "vae.out"}],
        "whole": ["VAEEncode", {"pixels": "picture.out", "vae": "other.vae"}],
    }
    expected = bench.latent(OTHER, "other.model", "other.clip")
    given = bench.latent({name: loaded[name] for name in ("unet", "clip")}, "unet.out", "clip.out")
    assert torch.allclose(given, expected, rtol=1e-3, atol=1e-2)
    nodes = bench.run({**OTHER, **loaded}, "encode", "whole").nodes
    assert torch.equal(nodes["encode"]["out"].samples, nodes["whole"]["out"].samples)


@pytest.mark.parametrize(("config", "early"), [("v1-inference.yaml", False), ("anything_v3.yaml", True)])
def test_a_configuration_tells_where_the_text_encoder_stops(bench: Bench, config: str, early: bool) -> None:
    configured = {"old": ["CheckpointLoader", {"config_name": config, "ckpt_name": "tiny.safetensors"}]}
    skipped = {"skip": ["CLIPSetLastLayer", {"clip": "load.clip", "stop_at_clip_layer": -2}]}
    given = bench.latent(configured, "old.model", "old.clip")
    whole, stopped = bench.latent(LOAD), bench.latent({**LOAD, **skipped}, clip="skip.out")
    assert torch.equal(given, stopped if early else whole)
    assert not torch.equal(whole, stopped)


def test_weights_are_rounded_to_eight_bits_on_request(bench: Bench) -> None:
    bench.run({**LOAD, "unet": ["ModelSave", {"model": "load.model"}]})
    (bench.models / "diffusion_models").mkdir()
    bench.saved("diffusion_models").rename(bench.models / "diffusion_models" / "part.safetensors")
    eight = {"unet": ["UNETLoader", {"unet_name": "part.safetensors", "weight_dtype": "fp8_e4m3fn"}]}
    given, plain = bench.latent({**LOAD, **eight}, "unet.out"), bench.latent(LOAD)
    assert 1e-4 < (given - plain).abs().mean() < 0.5 * plain.abs().mean()


def test_models_that_do_not_fit_together_are_refused(bench: Bench) -> None:
    path = bench.models / "checkpoints" / "other.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    for name, tensor in tensors.items():  # a model for a wider text encoder
        if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            tensors[name] = torch.zeros(len(tensor), 24)
    words = {name: tensor for name, tensor in tensors.items() if name.startswith(UNET)}
    (bench.models / "diffusion_models").mkdir()
    save_file(words, bench.models / "diffusion_models" / "wide.safetensors", metadata)
    wide = {"other": ["UNETLoader", {"unet_name": "wide.safetensors"}]}
    merge = {"merge": ["ModelMergeSimple", {"model1": "load.model", "model2": "other.out", "ratio": 0.5}]}
    with pytest.raises(NodeError, match=r"attn2.to_k.weight is \[16, 16\] and \[16, 24\]: models of one kind"):
        bench.run({**LOAD, **wide, **merge}, "merge")
