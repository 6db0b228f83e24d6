"""Prompts read by CLIP-L and OpenCLIP-bigG together, through the nodes, against transformers' encoders on one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import ConditioningEntry
from tests.nodes.models import Bench, Json

transformers = pytest.importorskip("transformers")

START, END = 49406, 49407
SIZES: Mapping[str, Mapping[str, Any]] = {
    "clip_l": {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 1, "hidden_act": "quick_gelu"},
    "clip_g": {"hidden_size": 128, "num_hidden_layers": 32, "num_attention_heads": 2, "hidden_act": "gelu"},
}
"""Of each the width is small; how deep it is tells which it is."""
PADS = {"clip_l": END, "clip_g": 0}

Model = Any
Segments = Sequence[tuple[str, float]]


def made(part: str, seed: int = 0) -> Model:
    """Return an encoder of transformers' with random weights."""
    torch.manual_seed(seed)
    config = transformers.CLIPTextConfig(
        vocab_size=END + 1, intermediate_size=96, projection_dim=48, bos_token_id=START, eos_token_id=END, **SIZES[part]
    )
    kind = transformers.CLIPTextModel if part == "clip_l" else transformers.CLIPTextModelWithProjection
    model = kind(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        weight.copy_(torch.randn(weight.shape) * (0.3 if "embedding" in name else 0.1) + ("norm.weight" in name))
    return model


@pytest.fixture(scope="module")
def references() -> dict[str, Model]:
    return {part: made(part) for part in SIZES}


@pytest.fixture(scope="module")
def models(references: Mapping[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models in which each encoder lies under several names of its tensors."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text_encoders").mkdir()
    for part, model in references.items():
        save_file(plain(model), folder / "text_encoders" / f"{part}.safetensors")
    opened = open_clip(references["clip_g"])
    save_file(opened, folder / "text_encoders" / "open_clip_g.safetensors")
    small = {f"conditioner.embedders.0.transformer.{name}": one for name, one in prefixed(references["clip_l"]).items()}
    large = {f"conditioner.embedders.1.model.{name}": tensor for name, tensor in opened.items()}
    unet = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3)}
    save_file({**small, **large, **unet}, folder / "text_encoders" / "sdxl.safetensors")
    return folder


@pytest.fixture
def bench(models: Path, tmp_path: Path) -> Bench:
    return Bench(models, tmp_path / "output")


def plain(model: Model) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def prefixed(model: Model) -> dict[str, Tensor]:
    """Return tensors under the names of transformers before version 5."""
    start = ("text_model.", "text_projection.")
    return {name if name.startswith(start) else f"text_model.{name}": one for name, one in plain(model).items()}


def open_clip(model: Model) -> dict[str, Tensor]:
    """Return the tensors of an encoder as OpenCLIP has them: queries, keys and values in one, the projection turned."""
    inner = {
        name.removeprefix("text_model.").removeprefix("encoder."): tensor for name, tensor in prefixed(model).items()
    }
    found = {
        "token_embedding.weight": inner["embeddings.token_embedding.weight"],
        "positional_embedding": inner["embeddings.position_embedding.weight"],
        "ln_final.weight": inner["final_layer_norm.weight"],
        "ln_final.bias": inner["final_layer_norm.bias"],
        "text_projection": inner["text_projection.weight"].T.contiguous(),
        "logit_scale": torch.tensor(4.6),
    }
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc"}
    names["mlp.fc2"] = "mlp.c_proj"
    for number in range(model.config.num_hidden_layers):
        block, layer = f"transformer.resblocks.{number}", f"layers.{number}"
        for leaf in ("weight", "bias"):
            parts = [inner[f"{layer}.self_attn.{kind}_proj.{leaf}"] for kind in "qkv"]
            found[f"{block}.attn.in_proj_{leaf}"] = torch.cat(parts)
            found |= {f"{block}.{theirs}.{leaf}": inner[f"{layer}.{ours}.{leaf}"] for ours, theirs in names.items()}
    return found


def encode_row(model: Model, part: str, tokens: Sequence[int], layer: int) -> tuple[Tensor, Tensor]:
    """Return a layer as it is (T, D), and the vector of the text (P,), of one row that is encoded alone."""
    row = torch.tensor([[START, *tokens, END] + [PADS[part]] * (75 - len(tokens))])
    output = model(row, output_hidden_states=True)
    deeper = -layer > len(output.hidden_states) - 1
    hidden = output.last_hidden_state if deeper else output.hidden_states[layer]
    return hidden[0], (output.pooler_output if part == "clip_l" else output.text_embeds)[0]


def expected(
    references: Mapping[str, Model], parts: Sequence[str], rows: Sequence[Segments], layer: int = -2
) -> tuple[Tensor, Tensor]:
    """Say again how SDXL reads a prompt: layers before the last without norm side by side, the vector of the last."""
    words, sides, pooled = clip_tokenizer(), [], []
    for part in parts:
        empty, _ = encode_row(references[part], part, [], layer)
        encoded = []
        for row in rows:
            ids = [words.encode(text) for text, _ in row]
            weights = [weight for (_, weight), tokens in zip(row, ids, strict=True) for _ in tokens]
            z, vector = encode_row(references[part], part, [token for tokens in ids for token in tokens], layer)
            for place, weight in enumerate(weights, start=1):
                z[place] = (z[place] - empty[place]) * weight + empty[place]
            encoded.append(z)
            pooled.append(vector)
        sides.append(torch.cat(encoded))
    return torch.cat(sides, -1)[None], pooled[-len(rows)][None]


def pair(first: str = "clip_l", second: str = "clip_g", **more: Json) -> dict[str, Json]:
    names = {"clip_name1": f"{first}.safetensors", "clip_name2": f"{second}.safetensors"}
    return {"clip": ["DualCLIPLoader", {**names, "type": "sdxl", **more}]}


def read(bench: Bench, nodes: Mapping[str, Json], text: str, clip: str = "clip.out") -> ConditioningEntry:
    """Return what CLIPTextEncode gives for a prompt."""
    prompt = {"prompt": ["CLIPTextEncode", {"text": text, "clip": clip}]}
    (entry,) = bench.run({**nodes, **prompt}, "prompt").nodes["prompt"]["out"].entries
    assert isinstance(entry, ConditioningEntry)
    return entry


def check(entry: ConditioningEntry, wanted: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(entry.embedding, wanted[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(entry.pooled, wanted[1], rtol=1e-4, atol=1e-4)


BOTH = ("clip_l", "clip_g")
CASES: Mapping[str, Sequence[Segments]] = {
    "": [[]],
    "a photo of a cat": [[("a photo of a cat", 1)]],
    "a (photo) of (a cat:0.4)": [[("a", 1), ("photo", 1.1), ("of", 1), ("a cat", 0.4)]],
    "a photo of a cat " * 16: [[("a photo of a cat " * 15, 1)], [("a photo of a cat", 1)]],
}


@pytest.mark.parametrize("text", CASES, ids=lambda text: f"{text[:24]}-{len(text)}")
def test_a_pair_reads_prompts_as_transformers_do(bench: Bench, references: dict[str, Model], text: str) -> None:
    entry = read(bench, pair(), text)
    assert entry.embedding.shape == (1, 77 * len(CASES[text]), 64 + 128)
    assert entry.pooled is not None
    assert entry.pooled.shape == (1, 48)
    check(entry, expected(references, BOTH, CASES[text]))


@pytest.mark.parametrize(
    ("first", "second"), [("clip_g", "clip_l"), ("clip_l", "open_clip_g"), ("open_clip_g", "sdxl"), ("sdxl", "sdxl")]
)
def test_files_may_come_in_any_order_and_layout(
    bench: Bench, references: dict[str, Model], first: str, second: str
) -> None:
    text = "a (photo) of (a cat:0.4)"
    check(read(bench, pair(first, second), text), expected(references, BOTH, CASES[text]))


def test_open_clip_is_what_the_reference_library_takes_it_for(bench: Bench, references: dict[str, Model]) -> None:
    """Judge the layout that the tests themselves write: diffusers turns it back into the encoder."""
    single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
    given = {f"conditioner.embedders.1.model.{name}": one for name, one in open_clip(references["clip_g"]).items()}
    fresh = deepcopy(references["clip_g"])
    for weight in fresh.parameters():
        weight.zero_()
    turned = single_file.convert_open_clip_checkpoint(fresh, given, prefix="conditioner.embedders.1.model.")
    for name, tensor in references["clip_g"].state_dict().items():
        assert torch.equal(turned[name], tensor), name


@pytest.mark.parametrize("layer", [-1, -3, -4, -24])
def test_an_earlier_layer_is_taken_of_both_and_the_last_normed_one_of_who_has_it_not(
    bench: Bench, references: dict[str, Model], layer: int
) -> None:
    stop = {"stop": ["CLIPSetLastLayer", {"clip": "clip.out", "stop_at_clip_layer": layer}]}
    entry = read(bench, {**pair(), **stop}, "a photo of a cat", "stop.out")
    check(entry, expected(references, BOTH, CASES["a photo of a cat"], layer))


@pytest.mark.parametrize("name", ["clip_g", "open_clip_g"])
def test_the_large_one_alone_is_that_of_the_refiner(bench: Bench, references: dict[str, Model], name: str) -> None:
    one = {"clip": ["CLIPLoader", {"clip_name": f"{name}.safetensors", "type": "stable_diffusion"}]}
    for text, rows in CASES.items():
        check(read(bench, one, text), expected(references, ["clip_g"], rows))


def test_the_small_one_alone_is_that_of_stable_diffusion_1(bench: Bench, references: dict[str, Model]) -> None:
    one = {"clip": ["CLIPLoader", {"clip_name": "clip_l.safetensors", "type": "stable_diffusion"}]}
    words = clip_tokenizer().encode("a photo of a cat")
    output = references["clip_l"](torch.tensor([[START, *words, END] + [END] * (75 - len(words))]))
    check(read(bench, one, "a photo of a cat"), (output.last_hidden_state, output.pooler_output))


def test_the_half_that_reads_is_taken_of_a_whole_clip(bench: Bench, references: dict[str, Model]) -> None:
    vision = transformers.CLIPVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=4, patch_size=2
    )
    whole = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=references["clip_l"].config.to_dict(), vision_config=vision.to_dict())
    )
    tensors = plain(whole) | prefixed(references["clip_l"])
    assert {name.split(".")[0] for name in tensors} >= {"text_model", "vision_model", "visual_projection"}
    save_file(tensors, bench.models / "text_encoders" / "whole.safetensors")
    check(read(bench, pair("whole"), "a photo of a cat"), expected(references, BOTH, CASES["a photo of a cat"]))
    one = {"clip": ["CLIPLoader", {"clip_name": "whole.safetensors"}]}
    assert read(bench, one, "a photo of a cat").embedding.shape == (1, 77, 64)


def test_folders_of_diffusers_hold_both(references: dict[str, Model], tmp_path: Path) -> None:
    from nodegraph.diffusion.loading import load_clip, load_clips
    from nodegraph.diffusion.text.encode import encode_prompt

    for part, folder in (("clip_l", "text_encoder"), ("clip_g", "text_encoder_2")):
        references[part].save_pretrained(tmp_path / folder)
    wanted = expected(references, BOTH, CASES["a photo of a cat"])
    for paths in ((tmp_path, tmp_path), (tmp_path / "text_encoder_2", tmp_path / "text_encoder")):
        clip = load_clips(paths, device="cpu", dtype="fp32")
        check(encode_prompt(clip, "a photo of a cat").entries[0], wanted)
    alone = load_clip(tmp_path / "text_encoder_2", device="cpu", dtype="fp32")
    check(
        encode_prompt(alone, "a photo of a cat").entries[0], expected(references, ["clip_g"], CASES["a photo of a cat"])
    )


def lora(bench: Bench, references: Mapping[str, Model]) -> dict[str, Model]:
    """Write a LoRA for both encoders, and return encoders with it at half its strength."""
    layers = {
        "clip_l": {"encoder.layers.0.mlp.fc1": (96, 64), "encoder.layers.1.self_attn.q_proj": (64, 64)},
        "clip_g": {"encoder.layers.30.self_attn.out_proj": (128, 128), "text_projection": (48, 128)},
    }
    stored: dict[str, Tensor] = {}
    changed: dict[str, Model] = {}
    for part, prefix in (("clip_l", "lora_te1"), ("clip_g", "lora_te2")):
        changed[part] = deepcopy(references[part])
        for layer, (rows, columns) in layers[part].items():
            up, down = torch.randn(rows, 4), torch.randn(4, columns)
            name = f"{prefix}_{layer if layer == 'text_projection' else f'text_model.{layer}'}".replace(".", "_")
            stored |= {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(2)}
            inner: Model = getattr(changed[part], "text_model", changed[part])
            place: Model = changed[part] if layer == "text_projection" else inner
            place.get_submodule(layer).weight.add_(0.5 * 2 / 4 * up @ down)
    (bench.models / "loras").mkdir(exist_ok=True)
    save_file(stored, bench.models / "loras" / "both.safetensors")
    return changed


def test_loras_for_both_are_put_on_saved_and_read_again(
    bench: Bench, references: dict[str, Model], tiny_models: Path
) -> None:
    changed = lora(bench, references)
    (bench.models / "checkpoints").mkdir(exist_ok=True)
    tiny = tiny_models / "checkpoints" / "tiny.safetensors"
    (bench.models / "checkpoints" / "tiny.safetensors").write_bytes(tiny.read_bytes())
    put = {
        "model": ["CheckpointLoaderSimple", {"ckpt_name": "tiny.safetensors"}],
        "put": [
            "LoraLoader",
            {"model": "model.model", "clip": "clip.out", "lora_name": "both.safetensors", "strength_clip": 0.5},
        ],
        "save": ["CLIPSave", {"clip": "put.clip", "filename_prefix": "text_encoders/saved"}],
    }
    nodes = {**pair(), **put}
    wanted = expected(changed, BOTH, CASES["a photo of a cat"])
    check(read(bench, nodes, "a photo of a cat", "put.clip"), wanted)
    check(read(bench, pair(), "a photo of a cat"), expected(references, BOTH, CASES["a photo of a cat"]))
    bench.run(nodes, "save")
    files = {path.name: path for path in (bench.output / "text_encoders").iterdir()}
    assert sorted(files) == ["saved_clip_g_00001_.safetensors", "saved_clip_l_00001_.safetensors"]
    for name, path in files.items():
        part = name[6:12]
        assert load_file(path).keys() == prefixed(references[part]).keys()
        path.rename(bench.models / "text_encoders" / f"saved_{part}.safetensors")
    check(read(bench, pair("saved_clip_l", "saved_clip_g"), "a photo of a cat"), wanted)


def test_pairs_are_merged_each_with_its_like(bench: Bench, references: dict[str, Model]) -> None:
    halves = {}
    for part, model in references.items():
        other = made(part, seed=1)
        save_file(plain(other), bench.models / "text_encoders" / f"other_{part}.safetensors")
        halves[part] = other
        for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
            mine.copy_(0.25 * theirs + 0.75 * mine)
    other_pair = {"other": pair("other_clip_l", "other_clip_g")["clip"]}
    merge = {"merge": ["CLIPMergeSimple", {"clip1": "clip.out", "clip2": "other.out", "ratio": 0.25}]}
    entry = read(bench, {**pair(), **other_pair, **merge}, "a photo of a cat", "merge.out")
    check(entry, expected(halves, BOTH, CASES["a photo of a cat"]))


def test_precision_and_sliced_tensors_go_together(models: Path, references: dict[str, Model]) -> None:
    from nodegraph.diffusion.loading import load_clips

    files = tuple(models / "text_encoders" / name for name in ("clip_l.safetensors", "open_clip_g.safetensors"))
    clip = load_clips((files[0], files[1]), device="cpu", dtype="bf16")
    for encoder in clip.encoders:
        wanted = prefixed(references[encoder.part])
        with encoder.network.lend() as network:
            found = network.state_dict()
        assert found.keys() == wanted.keys()
        for name, tensor in found.items():
            assert torch.equal(tensor, wanted[name].bfloat16()), name
    keys = [encoder.network.blueprint.weights.key for encoder in clip.encoders]  # type: ignore[attr-defined]
    assert all(one != other for one, other in pairwise(keys))
