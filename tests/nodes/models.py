"""Folders of tiny models, and graphs that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph import Options, Runtime
from nodegraph.diffusion.values import Latent
from nodegraph.engine.result import Result

Json = Any
LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_v"
WORDS = "lora_te_text_model_encoder_layers_0_mlp_fc1"
UNET, CLIP = "model.diffusion_model.", "cond_stage_model.transformer.text_model."


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


def lora(path: Path, seed: int = 0, *, text: bool = True) -> Path:
    """Write a LoRA for the tiny model: of one layer of the network and, on request, of the text encoder."""
    layers = {LAYER: (32, 32), **({WORDS: (32, 16)} if text else {})}
    tensors = {}
    for layer, (out, inputs) in layers.items():
        tensors[f"{layer}.lora_up.weight"] = 0.1 * random(out, 2, seed=seed)
        tensors[f"{layer}.lora_down.weight"] = random(2, inputs, seed=seed)
        tensors[f"{layer}.alpha"] = torch.tensor(2.0)
    path.parent.mkdir(exist_ok=True, parents=True)
    save_file(tensors, path)
    return path


def variant(source: Path, path: Path, seed: int) -> Path:
    """Write a checkpoint near another one."""
    from safetensors import safe_open

    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    tensors = {name: tensor + 0.05 * random(*tensor.shape, seed=seed) for name, tensor in load_file(source).items()}
    save_file(tensors, path, metadata)
    return path


class Bench:
    """Runs graphs over a folder of models."""

    def __init__(self, models: Path, output: Path) -> None:
        self.models, self.output = models, output
        options = Options(models=(models,), output=output, data=output / "data", device="cpu", dtype="fp32")
        self.runtime = Runtime(options)

    def run(self, nodes: dict[str, Json], *targets: str) -> Result:
        """Run nodes, given as {id: [type, {input: value or link}]}, up to the targets, or up to its sinks."""
        return self.runtime.run(graph(nodes), targets=targets or None).result.check()

    def latent(self, nodes: dict[str, Json], model: str = "load.model", clip: str = "load.clip") -> Tensor:
        """Return what a sampler gives with the model and the text encoder of these outputs."""
        prompt = {"clip": clip, "text": "a cat"}
        sampler = {
            "model": model, "positive": "prompt.out", "negative": "prompt.out", "latent_image": "empty.out",
            "steps": 2, "cfg": 1.0,
        }  # fmt: skip
        drawn = {
            "prompt": ["CLIPTextEncode", prompt],
            "empty": ["EmptyLatentImage", {"width": 64, "height": 64}],
            "sample": ["KSampler", sampler],
        }
        latent = self.run({**nodes, **drawn}, "sample").nodes["sample"]["out"]
        assert isinstance(latent, Latent)
        return latent.samples

    def saved(self, folder: str) -> Path:
        """Return the newest file below the output folder."""
        return max((self.output / folder).glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)


def graph(nodes: dict[str, Json]) -> Json:
    """Return a workflow of nodes: what looks like `node.output` of one of them is a link."""
    entries = {}
    for id, (kind, inputs) in nodes.items():
        links = {name: value for name, value in inputs.items() if _links(value, nodes)}
        params = {name: value for name, value in inputs.items() if name not in links}
        entries[id] = {"type": kind, "params": params, "links": links}
    return {"format": 1, "nodes": entries}


def _links(value: Json, nodes: dict[str, Json]) -> bool:
    plain = not isinstance(value, str) or value.endswith(".safetensors")
    return not plain and "." in value and value.partition(".")[0] in nodes


LOAD: dict[str, Json] = {"load": ["CheckpointLoaderSimple", {"ckpt_name": "tiny.safetensors"}]}
OTHER: dict[str, Json] = {"other": ["CheckpointLoaderSimple", {"ckpt_name": "other.safetensors"}]}
