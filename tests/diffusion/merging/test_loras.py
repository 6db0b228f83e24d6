"""LoRAs added up, brought to a rank, taken out of models, written and read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.diffusion.adapters.additive import Full, LowRank
from nodegraph.diffusion.adapters.blocks import weighted
from nodegraph.diffusion.adapters.delta import Delta
from nodegraph.diffusion.adapters.match import Matched, match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.adapters.save import save_lora
from nodegraph.diffusion.merging.files import model_shapes
from nodegraph.diffusion.merging.loras import Extraction, combine_loras, extract_lora
from nodegraph.diffusion.merging.lowrank import RankRule, low_rank, low_rank_product
from nodegraph.diffusion.merging.methods import MergeError
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.load import open_checkpoint
from nodegraph.diffusion.weights.store import FileWeights

Checkpoint = Callable[..., Path]
LINEAR = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
KERNEL = "lora_unet_mid_block_resnets_0_conv1"
TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def lora(rank: int, seed: int) -> dict[str, Tensor]:
    sizes = {LINEAR: (32, 32), KERNEL: (32, 32, 3, 3), TEXT: (24, 24)}
    tensors = {}
    for layer, (out, width, *kernel) in sizes.items():
        tensors[f"{layer}.lora_up.weight"] = random(out, rank, *(1 for _ in kernel), seed=seed)
        tensors[f"{layer}.lora_down.weight"] = random(rank, width, *kernel, seed=seed + 1)
        tensors[f"{layer}.alpha"] = torch.tensor(2.0)
    return tensors


@pytest.fixture
def shapes(checkpoint: Checkpoint) -> dict[str, Mapping[str, tuple[int, ...]]]:
    return model_shapes(checkpoint(0))


@pytest.fixture
def fit(tmp_path: Path, shapes: dict[str, Mapping[str, tuple[int, ...]]]) -> Callable[[dict[str, Tensor]], Matched]:
    def fit(tensors: dict[str, Tensor]) -> Matched:
        path = tmp_path / "lora.safetensors"
        save_file(tensors, path)
        matched = match(read_adapter(path), shapes).checked()
        assert matched.unfitted == {}
        return matched

    return fit


def added(delta: Delta, shape: tuple[int, ...]) -> Tensor:
    return delta.apply(torch.zeros(shape), 1.0)


def test_factors_side_by_side_are_the_exact_sum(fit: Callable[[dict[str, Tensor]], Matched]) -> None:
    one, two = fit(lora(2, 0)), fit(lora(3, 5))
    combined = combine_loras([(one, 0.5, 1.0), (two, -1.5, 0.25)])
    for part, deltas in combined.items():
        strengths = (0.5, -1.5) if part == "unet" else (1.0, 0.25)
        for name, delta in deltas.items():
            shape = one.shapes[part][name]
            expected = strengths[0] * added(one.entries[part][name], shape)
            expected += strengths[1] * added(two.entries[part][name], shape)
            torch.testing.assert_close(added(delta, shape), expected, rtol=1e-4, atol=1e-4)
            assert isinstance(delta, LowRank)
            assert (delta.rank, delta.scale) == (5, 1.0)
    assert sum(map(len, combined.values())) == 3


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_sum_brought_to_a_rank_is_the_nearest_of_that_rank(
    fit: Callable[[dict[str, Tensor]], Matched], rank: int
) -> None:
    one, two = fit(lora(2, 0)), fit(lora(3, 5))
    exact = combine_loras([(one, 1.0, 1.0), (two, 1.0, 1.0)])
    reduced = combine_loras([(one, 1.0, 1.0), (two, 1.0, 1.0)], RankRule(rank), clamp=None)
    for part, deltas in exact.items():
        for name, delta in deltas.items():
            shape = one.shapes[part][name]
            whole = added(delta, shape).double().numpy().reshape(shape[0], -1)
            u, s, v = np.linalg.svd(whole, full_matrices=False)
            nearest = (u[:, :rank] * s[:rank]) @ v[:rank]
            got = added(reduced[part][name], shape).double().numpy().reshape(shape[0], -1)
            np.testing.assert_allclose(got, nearest, atol=1e-4)


def test_other_kinds_are_added_up_whole_or_refused(fit: Callable[[dict[str, Tensor]], Matched]) -> None:
    full = fit({f"{LINEAR}.diff": torch.ones(32, 32), f"{KERNEL}.diff_b": torch.ones(32)})
    name, bias = "middle_block.1.transformer_blocks.0.attn1.to_q.weight", "middle_block.0.in_layers.2.bias"
    combined = combine_loras([(fit(lora(2, 0)), 1.0, 1.0), (full, 2.0, 0.0)])["unet"]
    plain = added(fit(lora(2, 0)).entries["unet"][name], (32, 32))
    assert isinstance(combined[name], Full)
    torch.testing.assert_close(added(combined[name], (32, 32)), plain + 2)
    torch.testing.assert_close(added(combined[bias], (32,)), torch.full((32,), 2.0))
    rotation = fit({f"{LINEAR}.oft_blocks": random(8, 4, 4)})
    with pytest.raises(MergeError, match=r"unet: middle_block.*hangs on the weights"):
        combine_loras([(rotation, 1.0, 1.0)])


def test_the_clamp_is_a_quantile_of_both_factors() -> None:
    difference = random(20, 30)
    u, s, v = np.linalg.svd(difference.numpy(), full_matrices=False)
    up, down = u[:, :4] * s[:4], v[:4]
    largest = np.quantile(np.concatenate([up.ravel(), down.ravel()]), 0.99)
    got = low_rank(difference, RankRule(4))
    product = got.up.numpy() @ got.down.numpy()
    expected = np.clip(up, -largest, largest) @ np.clip(down, -largest, largest)
    np.testing.assert_allclose(np.abs(got.up.numpy()), np.abs(np.clip(up, -largest, largest)), atol=1e-4)
    np.testing.assert_allclose(product, expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(20, 30), (30, 8), (6, 4, 3, 3)])
def test_a_product_is_factorised_by_its_factors_as_whole(shape: tuple[int, ...]) -> None:
    out, *rest = shape
    up, down = random(out, 3, *(1,) * (len(rest) - 1)), random(3, *rest)
    whole = (up.flatten(1) @ down.flatten(1)).reshape(shape)
    one, two = low_rank_product(up, down, RankRule(2), None), low_rank(whole, RankRule(2), None)
    torch.testing.assert_close(added(one, shape), added(two, shape), rtol=1e-3, atol=1e-4)
    assert (one.up.shape, one.down.shape) == (two.up.shape, two.down.shape)


def test_rules_for_ranks() -> None:
    values = torch.tensor([4.0, 2.0, 1.0, 1.0])  # squares 16, 4, 1, 1; sums 4, 6, 7, 8
    assert RankRule(3).of(values) == 3
    assert RankRule(9).of(values) == 4
    assert [RankRule(9, energy=share).of(values) for share in (0.5, 0.8, 20 / 22, 0.92, 1.0)] == [1, 2, 2, 3, 4]
    assert [RankRule(9, cumulative=share).of(values) for share in (0.5, 0.6, 0.75, 0.8)] == [1, 2, 2, 3]
    assert [RankRule(9, threshold=least).of(values) for least in (5.0, 2.0, 1.5, 0.5)] == [1, 1, 2, 4]
    assert [RankRule(9, ratio=share).of(values) for share in (1.0, 0.5, 0.25)] == [1, 2, 4]
    assert RankRule(1, energy=1.0).of(values) == 1
    for wrong in ({"most": 0}, {"most": 1, "energy": 0.0}, {"most": 1, "ratio": 2.0}):
        with pytest.raises(ValueError, match=r"rank|share"):
            RankRule(**wrong)


def test_a_lora_is_taken_out_of_the_models_it_was_baked_into(tmp_path: Path, checkpoint: Checkpoint) -> None:
    base = checkpoint(0)
    state, names = load_file(base), {}
    changed = {
        "model.diffusion_model.middle_block.1.proj_in.weight": random(32, 2) @ random(2, 32),
        "model.diffusion_model.middle_block.0.in_layers.2.weight": random(32, 2) @ random(2, 288),
        "model.diffusion_model.middle_block.0.in_layers.0.weight": random(32),
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": random(64, 24) * 1e-4,
    }
    for name, difference in changed.items():
        names[name.removeprefix("model.diffusion_model.")] = state[name].shape
        state[name] += difference.reshape(state[name].shape)
    save_file(state, tmp_path / "tuned.safetensors", dict(read_header(base).metadata))
    tuned, plain = (open_checkpoint(path, device="cpu").blueprints for path in (tmp_path / "tuned.safetensors", base))
    how = Extraction(RankRule(2), conv=RankRule(2), clamp=None)
    got = extract_lora(tuned["unet"].weights, plain["unet"].weights, how)
    expected = {name for name in names if not name.startswith("cond_stage")}
    assert got.keys() == expected
    for name, delta in got.items():
        difference = changed[f"model.diffusion_model.{name}"].reshape(names[name])
        torch.testing.assert_close(added(delta, names[name]), difference, rtol=1e-3, atol=1e-4)
    alone = extract_lora(tuned["unet"].weights, plain["unet"].weights, Extraction(RankRule(2), biases=False))
    assert list(alone) == ["middle_block.1.proj_in.weight"]
    assert len(extract_lora(tuned["clip"].weights, plain["clip"].weights, how)) == 1
    how = Extraction(RankRule(2), least=0.01)
    assert extract_lora(tuned["clip"].weights, plain["clip"].weights, how) == {}
    whole = extract_lora(tuned["clip"].weights, plain["clip"].weights, Extraction(RankRule(2), full=True))
    assert [type(delta) for delta in whole.values()] == [Full]


def test_an_extraction_can_be_stopped_and_needs_models_of_one_kind(tmp_path: Path) -> None:
    save_file({"a.weight": torch.ones(2, 3), "b.weight": torch.ones(2)}, tmp_path / "one")
    save_file({"a.weight": torch.ones(2, 4)}, tmp_path / "two")
    one, two = (FileWeights(read_header(tmp_path / name).tensors) for name in ("one", "two"))
    seen: list[str] = []

    def stop(name: str) -> None:
        seen.append(name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_lora(one, None, Extraction(RankRule(1)), stop)
    assert len(seen) == 1
    with pytest.raises(MergeError, match="models of one kind"):
        extract_lora(one, two, Extraction(RankRule(1)))
    assert extract_lora(one, None, Extraction(RankRule(1))).keys() == {"a.weight", "b.weight"}


@pytest.mark.parametrize("names", ["diffusers", "ldm"])
def test_a_written_lora_is_read_again(tmp_path: Path, fit: Callable[[dict[str, Tensor]], Matched], names: str) -> None:
    extra = {f"{KERNEL}.diff_b": random(32), "lora_unet_mid_block_resnets_0_norm1.diff": random(32, seed=9)}
    matched = weighted(fit({**lora(2, 0), **extra}), {"M00": 0.5, "BASE": 1.0})
    path = save_lora(
        tmp_path / "written.safetensors",
        matched.entries,
        matched.shapes,
        dtype=torch.float32,
        names=names,  # type: ignore[arg-type]
        metadata={"ss_output_name": "mine", "title": "t"},
    )
    again = match(read_adapter(path), matched.shapes).checked()
    assert again.unfitted == {}
    for part, deltas in matched.entries.items():
        assert again.entries[part].keys() == deltas.keys()
        for name, delta in deltas.items():
            shape = matched.shapes[part][name]
            torch.testing.assert_close(added(again.entries[part][name], shape), added(delta, shape))
    prefix = "lora_unet_mid_block" if names == "diffusers" else "lora_unet_middle_block"
    assert all(key.startswith((prefix, "lora_te_text_model_")) for key in load_file(path))


def test_the_header_tells_ranks_and_hashes_as_kohyas_does(tmp_path: Path) -> None:
    modules = {"unet": ["middle_block.0.in_layers.2.weight", "middle_block.1.proj_in.weight"]}
    small, large = LowRank(torch.ones(8, 2), torch.ones(2, 8), 0.5), LowRank(torch.ones(8, 4), torch.ones(4, 8))
    kernel = LowRank(torch.ones(8, 3, 1, 1), torch.ones(3, 8, 3, 3))
    one, two = modules["unet"]
    path = save_lora(tmp_path / "a.safetensors", {"unet": {two: small, one: kernel}}, modules)
    told = read_header(path).metadata
    assert (told["ss_network_dim"], told["ss_network_alpha"]) == ("2", "1")
    assert json.loads(told["ss_network_args"]) == {"conv_dim": "3", "conv_alpha": "3"}
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    assert told["sshs_model_hash"] == hashlib.sha256(data[start:]).hexdigest()
    path = save_lora(tmp_path / "b.safetensors", {"unet": {one: large, two: small}}, modules)
    assert read_header(path).metadata["ss_network_dim"] == "Dynamic"
    with pytest.raises(ValueError, match="nothing to save"):
        save_lora(path, {"unet": {}}, modules)


def test_the_old_hash_is_that_of_a_file_without_hashes(tmp_path: Path) -> None:
    big = Full(random(1024, 512))
    path = save_lora(
        tmp_path / "a.safetensors", {"clip": {"a.weight": big}}, {"clip": ["a.weight"]}, dtype=torch.float32
    )
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    told = header["__metadata__"]
    header["__metadata__"] = {name: value for name, value in told.items() if name.startswith("ss_")}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    bare = len(text).to_bytes(8, "little") + text + data[8 + int.from_bytes(data[:8], "little") :]
    assert told["sshs_legacy_hash"] == hashlib.sha256(bare[0x100000:0x110000]).hexdigest()[:8]
