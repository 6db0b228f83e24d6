"""Folders written by diffusers and transformers load, and their networks answer alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nodegraph import Context
from nodegraph.collection.kinds import FOLDERS_ALONE
from nodegraph.diffusion.loading import load_clip, load_model, load_vae
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.values import DiffusionSchedule
from nodegraph.diffusion.weights.describe import describe
from nodegraph.diffusion.weights.errors import (
    CorruptFileError,
    IncompleteModelError,
    PickledFileError,
    UnknownModelError,
)
from nodegraph.diffusion.weights.header import TensorInfo
from nodegraph.diffusion.weights.layouts.diffusers import hints
from nodegraph.diffusion.weights.layouts.sd1 import CLIP, UNET, VAE
from nodegraph.diffusion.weights.load import Checkpoint, load_checkpoint
from nodegraph.engine.folders import Folders
from nodegraph.nodes.loaders import checkpoint_loader_simple, diffusers_loader

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

FULL_UNET = {
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
}
FULL_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
}
FULL_CLIP = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
TINY_UNET = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 24,
    "attention_head_dim": 2,
    "norm_num_groups": 16,
}
TINY_VAE = {
    "block_out_channels": (16, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 8,
    "scaling_factor": 0.25,
}
TINY_CLIP = {
    "vocab_size": 100,
    "hidden_size": 24,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "eos_token_id": 98,
    "bos_token_id": 97,
    "hidden_act": "gelu",
}
INDEX = "model_index.json"


@pytest.fixture(scope="module")
def references() -> dict[str, Any]:
    torch.manual_seed(0)
    models = {
        "unet": diffusers.UNet2DConditionModel(**TINY_UNET),
        "vae": diffusers.AutoencoderKL(**TINY_VAE),
        "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**TINY_CLIP)),
    }
    with torch.no_grad():
        for model in models.values():
            for parameter in model.eval().parameters():
                parameter.normal_(std=0.1)
    return models


@pytest.fixture
def folder(tmp_path: Path, references: dict[str, Any]) -> Path:
    for name, model in references.items():
        model.save_pretrained(tmp_path / name)
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="linear", beta_start=0.001, beta_end=0.01, num_train_timesteps=200, prediction_type="v_prediction"
    )
    scheduler.save_pretrained(tmp_path / "scheduler")
    (tmp_path / "safety_checker").mkdir()
    (tmp_path / "safety_checker" / "model.safetensors").write_text("no part of a picture's making, so never read")
    (tmp_path / "model_index.json").write_text("{}")
    return tmp_path


@torch.no_grad()
def check_answers(loaded: Checkpoint, references: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(1)
    x, context = torch.randn(1, 4, 9, 8, generator=generator), torch.randn(1, 5, 24, generator=generator)
    timestep, z = torch.tensor([40.0]), torch.randn(1, 4, 6, 6, generator=generator)
    tokens = torch.tensor([[97, 4, 5, 98, 98]])
    text = references["text_encoder"](tokens)
    pairs: list[tuple[Tensor, Tensor]] = [
        (loaded.unet(x, timestep, context), references["unet"](x, timestep, context).sample),
        (loaded.vae.decode(z), references["vae"].decode(z).sample),
        (loaded.clip(tokens).last, text.last_hidden_state),
        (loaded.clip(tokens).pooled, text.pooler_output),
    ]
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def load(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, device="cpu", dtype=torch.float32)


@torch.no_grad()
def test_parts_load_from_their_own_folders(folder: Path, references: dict[str, Any]) -> None:
    model = load_model(folder / "unet", device="cpu", dtype="fp32")
    vae = load_vae(folder / "vae", device="cpu", dtype="fp32")
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 24)
    with model.network.lend() as unet, vae.network.lend() as autoencoder:
        expected = references["unet"](x, torch.tensor([40.0]), context).sample
        torch.testing.assert_close(unet(x, torch.tensor([40.0]), context), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(autoencoder.decode(x), references["vae"].decode(x).sample, rtol=1e-4, atol=1e-4)
    assert (model.family, model.context_dim, model.latent.channels) == ("sd1", 24, 4)
    words = folder / "words.safetensors"
    (folder / "text_encoder" / "model.safetensors").rename(words)
    clip = load_clip(words, device="cpu", dtype="fp32")
    assert isinstance(clip.network, Stored)
    assert clip.network.blueprint.config.width == 24
    with pytest.raises(UnknownModelError, match="denoising network of Stable Diffusion 1"):
        load_model(words, device="cpu")


def test_a_folder_loads_with_its_settings(folder: Path, references: dict[str, Any]) -> None:
    loaded = load(folder)
    check_answers(loaded, references)
    assert loaded.prediction == "v"
    assert loaded.schedule == DiffusionSchedule("linear", 0.001, 0.01, 200)
    assert (loaded.unet.config.heads, loaded.unet.config.groups) == (2, 16)
    assert (loaded.vae.config.scale_factor, loaded.vae.config.groups) == (0.25, 8)
    assert (loaded.clip.config.activation, loaded.clip.config.end_token) == ("gelu", 98)
    assert len(loaded.files) == 3
    assert len(loaded.sha256) == 64
    info = describe(folder)
    assert (info.folder, info.family, info.precision, info.missing) == (True, "sd1", "fp32", ())


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_a_folder_of_half_precision_loads(folder: Path, references: dict[str, Any], variant: str) -> None:
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[variant]
    for name in references:
        (file,) = (folder / name).glob("*.safetensors")
        halves = {key: tensor.to(dtype) for key, tensor in load_file(file).items()}
        file.unlink()
        save_file(halves, file.with_suffix(f".{variant}.safetensors"))
    loaded = load(folder)
    expected = references["unet"].state_dict()["conv_in.weight"].to(dtype).float()
    assert torch.equal(loaded.unet.state_dict()["input_blocks.0.0.weight"], expected)
    assert describe(folder).precision == variant


def test_a_folder_stands_among_the_checkpoints(folder: Path) -> None:
    folders = Folders({"checkpoints": [folder.parent]}, {"checkpoints": [".safetensors"]}, {"checkpoints": INDEX})
    context = Context(folders=folders, settings={"device": "cpu", "dtype": "fp32"})
    assert folder.name in folders.names("checkpoints")
    loaded = checkpoint_loader_simple(context, folder.name)
    assert loaded.model.prediction == "v"
    assert loaded.vae.latent_channels == 4


def test_a_folder_is_loaded_by_a_node_of_its_own(folder: Path) -> None:
    folders = Folders({"diffusers": [folder.parent]}, {"diffusers": FOLDERS_ALONE}, {"diffusers": INDEX})
    assert folder.name in folders.names("diffusers")
    context = Context(folders=folders, settings={"device": "cpu", "dtype": "fp32"})
    assert diffusers_loader(context, folder.name).model.prediction == "v"


def test_a_folder_in_shards_loads(folder: Path, references: dict[str, Any]) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    references["unet"].save_pretrained(folder / "unet", max_shard_size="100KB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 2
    check_answers(load(folder), references)


def test_names_of_older_and_newer_libraries_load(folder: Path, references: dict[str, Any]) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    bare = {key.removeprefix("text_model."): tensor for key, tensor in load_file(file).items()}
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    renamed = {}
    for key, tensor in load_file(vae).items():
        for new, before in old.items():
            key = key.replace(f".attentions.0.{new}.", f".attentions.0.{before}.")
        renamed[key] = tensor
    save_file(renamed, vae)
    for spelled in (bare, {f"text_model.{key}": tensor for key, tensor in bare.items()}):
        save_file({**spelled}, file)
        check_answers(load(folder), references)


def test_what_a_folder_lacks_is_told(folder: Path) -> None:
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    vae.rename(vae.with_suffix(".bin"))
    with pytest.raises(PickledFileError, match=r"vae/diffusion_pytorch_model\.bin: pickled weights"):
        load(folder)
    vae.with_suffix(".bin").unlink()
    with pytest.raises(IncompleteModelError, match=r"no autoencoder \(vae/\)"):
        load(folder)
    assert describe(folder).missing == ("autoencoder",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("unet/config.json", "{"),
        ("unet/config.json", "[]"),
        ("vae/diffusion_pytorch_model.safetensors.index.json", json.dumps({"weight_map": {"a": "../x.safetensors"}})),
        ("vae/diffusion_pytorch_model.safetensors.index.json", json.dumps({"weight_map": {"a": 3}})),
        ("vae/diffusion_pytorch_model.safetensors.index.json", "{}"),
    ],
)
def test_files_of_a_folder_that_make_no_sense_are_named(folder: Path, name: str, content: str) -> None:
    if "index" in name:
        (folder / name.replace(".index.json", "")).unlink()
    (folder / name).write_text(content)
    with pytest.raises(CorruptFileError) as caught:
        load(folder)
    assert caught.value.path == folder / name


def test_heads_given_by_level_are_read_as_their_size() -> None:
    widths = [320, 640, 1280, 1280]
    unet = hints({"unet": {"attention_head_dim": [5, 10, 20, 20], "block_out_channels": widths}})["unet"]
    assert unet == {"groups": None, "head_dim": 64}
    unet = hints({"unet": {"attention_head_dim": [8, 8, 8, 8], "block_out_channels": widths}})["unet"]
    assert unet == {"groups": None, "heads": 8}


@pytest.mark.parametrize("name", ["unet", "vae", "clip"])
def test_names_map_one_to_one_at_full_size(name: str) -> None:
    ours: nn.Module
    with torch.device("meta"):
        if name == "unet":
            theirs, ours, part = diffusers.UNet2DConditionModel(**FULL_UNET), UNet(UNetConfig()), UNET
        elif name == "vae":
            theirs, ours, part = diffusers.AutoencoderKL(**FULL_VAE), Autoencoder(AutoencoderConfig()), VAE
        else:
            config = transformers.CLIPTextConfig(**FULL_CLIP)
            theirs, ours, part = transformers.CLIPTextModel(config), ClipText(ClipTextConfig()), CLIP
    file = Path("a")
    stored = {key: TensorInfo(file, key, "F16", tuple(t.shape), 0) for key, t in theirs.state_dict().items()}
    named = part.wanted(part.from_diffusers(stored))
    expected = {key: tuple(tensor.shape) for key, tensor in ours.state_dict().items()}
    assert named.keys() == expected.keys()
    assert len({info.name for info in named.values()}) == len(expected) == {"unet": 686, "vae": 248, "clip": 196}[name]
    for key, info in named.items():
        attention = name == "vae" and ".attn_1." in key and key.endswith("weight") and ".norm." not in key
        assert info.shape + (1, 1) * attention == expected[key]
