"""Loaders of text encoders, and what their pairs are refused for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.diffusion.loading import load_clips
from nodegraph.diffusion.memory.manager import Memory, activate
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.weights.errors import MissingFileError
from nodegraph.engine.errors import NodeError
from tests.nodes.models import CLIP, LOAD, Bench, Json

DEPTHS = {"small": 2, "other_small": 3, "h": 23, "large": 31, "bare": 31}
T5 = {"shared.weight": torch.zeros(9, 4), "encoder.block.0.layer.0.SelfAttention.q.weight": torch.zeros(4, 4)}
UNET = {"input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3), "out.2.weight": torch.zeros(4, 320, 3, 3)}


def encoder(layers: int, projection: int | None = None) -> dict[str, Tensor]:
    """Return the weights of a narrow text encoder."""
    torch.manual_seed(layers)
    config = ClipTextConfig(width=16, heads=1, mlp_width=8, layers=layers, projection=projection)
    return {name: tensor.half() for name, tensor in ClipText(config).state_dict().items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """Return a folder of files that people may take for text encoders."""
    root = tmp_path_factory.mktemp("models")
    (root / "checkpoints").symlink_to(tiny_models / "checkpoints", target_is_directory=True)
    (root / "text_encoders").mkdir()
    for name, layers in DEPTHS.items():
        tensors = encoder(layers, 4 if name == "large" else None)
        save_file(tensors, root / "text_encoders" / f"{name}.safetensors")
    lacking = encoder(2)
    del lacking["text_model.encoder.layers.1.mlp.fc2.bias"]
    for name, tensors in {"lacking": lacking, "t5": T5, "unet": UNET}.items():
        save_file(tensors, root / "text_encoders" / f"{name}.safetensors")
    return root


@pytest.fixture
def bench(folder: Path, tmp_path: Path) -> Bench:
    return Bench(folder, tmp_path / "output")


def pair(first: str = "small", second: str = "large", type: str = "sdxl") -> dict[str, Json]:
    names = {"clip_name1": f"{first}.safetensors", "clip_name2": f"{second}.safetensors"}
    return {"pair": ["DualCLIPLoader", {**names, "type": type}]}


def single(name: str = "small", type: str = "stable_diffusion") -> dict[str, Json]:
    return {"single": ["CLIPLoader", {"clip_name": f"{name}.safetensors", "type": type}]}


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            "small",
            "small",
            r"with CLIP-L and one with OpenCLIP-bigG; got small\.safetensors \(CLIP-L\) and small",
        ),
        ("other_small", "small", r"got other_small\.safetensors \(CLIP-L\) and small\.safetensors \(CLIP-L\)"),
        ("large", "large", r"got large\.safetensors \(OpenCLIP-bigG\) and large\.safetensors \(OpenCLIP-bigG\)"),
        ("small", "unet", r"unet\.safetensors: no text encoder .* this looks like a denoising network"),
        ("t5", "large", r"t5\.safetensors: no text encoder .* this looks like a T5 text encoder"),
        ("small", "h", r"h\.safetensors: no text encoder .* this looks like OpenCLIP-H"),
        ("bare", "small", r"bare\.safetensors: OpenCLIP-bigG .*: no text_projection\.weight"),
        ("large", "lacking", r"lacking\.safetensors: CLIP-L .* no text_model\.encoder\.layers\.1\.mlp\.fc2\.bias"),
    ],
)
def test_files_that_are_no_pair_are_refused_by_what_they_are(bench: Bench, first: str, second: str, told: str) -> None:
    with pytest.raises(NodeError, match=told):
        bench.run(pair(first, second), "pair")


@pytest.mark.parametrize("name", ["unet", "t5", "h"])
def test_one_file_that_is_no_text_encoder_that_is_known_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(NodeError, match=rf"{name}\.safetensors: no text encoder of a known model family; this looks"):
        bench.run(single(name), "single")


def test_types_whose_text_encoders_are_not_there_yet_are_told_with_those_that_are(bench: Bench) -> None:
    here = r"\(CLIP-L and T5-XXL\) cannot be loaded yet; what can be is 'sdxl' \(CLIP-L and OpenCLIP-bigG\)"
    with pytest.raises(NodeError, match=f"type 'flux' {here}"):
        bench.run(pair(type="flux"), "pair")
    with pytest.raises(NodeError, match=r"type 'wan' \(UMT5-XXL\) cannot be loaded yet; .*'stable_diffusion'"):
        bench.run(single(type="wan"), "single")


def test_every_type_is_either_loaded_or_told_to_be_missing(bench: Bench) -> None:
    registry = bench.runtime.registry
    for id, nodes in (("DualCLIPLoader", pair), ("CLIPLoader", single)):
        choices = registry[id].inputs["type"].choices
        assert choices is not None
        for type in choices():
            if type in ("sdxl", "stable_diffusion"):
                assert bench.run(nodes(type=type))
            else:
                with pytest.raises(NodeError, match=f"type '{type}' .* cannot be loaded yet"):
                    bench.run(nodes(type=type), *nodes())


def test_a_pair_for_a_model_of_another_family_is_refused_where_it_meets_it(bench: Bench) -> None:
    with pytest.raises(NodeError, match="got embeddings 32 wide, the model sd1 takes 16"):
        bench.latent({**LOAD, **pair()}, clip="pair.out")


def test_a_pair_is_no_part_of_a_stable_diffusion_1_checkpoint(bench: Bench) -> None:
    parts = {"model": "load.model", "clip": "pair.out", "vae": "load.vae"}
    told = r"checkpoint of Stable Diffusion 1\.x has no text encoders clip_l and clip_g; CLIPSave writes them alone"
    with pytest.raises(NodeError, match=told):
        bench.run({**LOAD, **pair(), "save": ["CheckpointSave", parts]})


@pytest.mark.parametrize("kind", ["CLIPMergeSimple", "CLIPMergeAdd", "CLIPMergeSubtract"])
def test_a_pair_and_a_single_one_are_not_merged(bench: Bench, kind: str) -> None:
    both = {"clip1": "pair.out", "clip2": "single.out"}
    with pytest.raises(NodeError, match="text encoders of the first are clip_g and clip_l, of another clip"):
        bench.run({**pair(), **single(), "merge": [kind, both]}, "merge")


def test_a_lora_read_for_one_text_encoder_is_not_put_on_a_pair(bench: Bench) -> None:
    layer = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    (bench.models / "loras").mkdir(exist_ok=True)
    save_file(
        {f"{layer}.lora_up.weight": torch.ones(32, 2), f"{layer}.lora_down.weight": torch.ones(2, 16)},
        bench.models / "loras" / "words.safetensors",
    )
    nodes = {
        **LOAD,
        **pair(),
        "lora": ["LoraFile", {"model": "load.model", "clip": "load.clip", "lora_name": "words.safetensors"}],
        "put": ["LoraApply", {"model": "load.model", "clip": "pair.out", "lora": "lora.out"}],
    }
    with pytest.raises(NodeError, match="read for the text encoders clip, these are clip_g and clip_l"):
        bench.run(nodes, "put")


def test_nothing_is_read_but_headers_until_a_prompt_is(bench: Bench, folder: Path) -> None:
    gone = folder / "text_encoders" / "gone.safetensors"
    gone.write_bytes((folder / "text_encoders" / "large.safetensors").read_bytes())
    clip = bench.run(pair(second="gone"), "pair").nodes["pair"]["out"]
    gone.unlink()
    small, large = clip.encoders
    with small.network.lend():
        pass
    with pytest.raises(MissingFileError, match=r"gone\.safetensors"), large.network.lend():
        pass


def test_a_pair_reads_in_the_memory_of_its_larger_one(folder: Path) -> None:
    files = folder / "text_encoders" / "small.safetensors", folder / "text_encoders" / "large.safetensors"
    clip = load_clips(files, device="cpu", dtype="fp32")
    (wanted,) = encode_prompt(clip, "a (cat:1.2)").entries
    large = clip.beside[0].network
    assert isinstance(large, Stored)
    memory = Memory({"cpu": large.blueprint.size})
    before = activate(memory)
    try:
        (entry,) = encode_prompt(clip, "a (cat:1.2)").entries
    finally:
        activate(before)
    assert torch.equal(entry.embedding, wanted.embedding)
    (held,) = memory.holdings()
    assert (held.bytes, held.size) == (large.blueprint.size, large.blueprint.size), "whole, and the other let go"


def test_what_a_saved_encoder_tells_of_itself_holds_alone_and_in_a_pair(bench: Bench) -> None:
    """The heads of narrow encoders are not to be told by their widths."""
    save = {"save": ["CLIPSave", {"clip": "load.clip", "filename_prefix": "text_encoders/tiny"}]}
    bench.run({**LOAD, **save})
    path = bench.models / "text_encoders" / "tiny.safetensors"
    bench.saved("text_encoders").rename(path)
    whole = bench.run(LOAD, "load").nodes["load"]["clip"].network.blueprint.config
    alone = bench.run(single("tiny"), "single").nodes["single"]["out"].network.blueprint.config
    paired = bench.run(pair("large", "tiny"), "pair").nodes["pair"]["out"].network.blueprint.config
    assert whole.heads > 1
    assert whole == alone == paired
    assert all(name.startswith(CLIP) for name in load_file(path))


def test_a_pair_runs_on_the_processor_on_request(folder: Path, tmp_path: Path) -> None:
    nodes = pair()
    nodes["pair"][1]["device"] = "cpu"
    clip = Bench(folder, tmp_path).run(json.loads(json.dumps(nodes)), "pair").nodes["pair"]["out"]
    assert {str(encoder.network.device) for encoder in clip.encoders} == {"cpu"}
