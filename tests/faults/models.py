"""Checkpoints that are not as they should be, and the work that they are used for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.harness import Json, workflow

if TYPE_CHECKING:
    from torch import Tensor

NAME, LARGE = "model.safetensors", "large.safetensors"
EMBEDDING = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


def place(models: Path, source: Path, change: Callable[[str, Tensor], Tensor] | None = None) -> Path:
    """Write a checkpoint into the models folder, each tensor changed; return its path. It is there whole or not."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = models / "checkpoints" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    if change is None:
        temporary.write_bytes(source.read_bytes())
    else:
        with safe_open(source, framework="pt") as file:
            told = file.metadata()
        tensors = {name: change(name, tensor) for name, tensor in load_file(source).items()}
        save_file(tensors, temporary, metadata=told)
    temporary.replace(path)
    return path


def place_large(models: Path, source: Path, rows: int) -> None:
    """Write a checkpoint as `LARGE`, one tensor of which has so many rows; on disk they are a hole."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(source, framework="pt") as file:
        header: dict[str, Json] = {"__metadata__": file.metadata()}
    tensors, parts, end = load_file(source), list[bytes](), 0
    width = tensors.pop(EMBEDDING).shape[1]
    for name, tensor in tensors.items():
        parts.append(tensor.float().contiguous().numpy().tobytes())
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(parts[-1])]}
        end += len(parts[-1])
    header[EMBEDDING] = {"dtype": "F32", "shape": [rows, width], "data_offsets": [end, end + rows * width * 4]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (models / "checkpoints" / LARGE).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
        file.truncate(8 + len(text) + end + rows * width * 4)


def drawing(size: int = 64, steps: int = 2, seed: int = 1, batch: int = 1, name: str = NAME) -> dict[str, Json]:
    """Return a job that draws a picture with that checkpoint and saves it."""
    nodes: dict[str, Json] = {
        "load": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": name}},
        "words": {"type": "CLIPTextEncode", "params": {"text": "a red circle"}, "links": {"clip": "load.clip"}},
        "empty": {"type": "EmptyLatentImage", "params": {"width": size, "height": size, "batch_size": batch}},
        "sample": {
            "type": "KSampler",
            "params": {"seed": seed, "steps": steps, "cfg": 1.0},
            "links": {
                "model": "load.model",
                "positive": "words.out",
                "negative": "words.out",
                "latent_image": "empty.out",
            },
        },
        "decode": {"type": "VAEDecode", "links": {"samples": "sample.out", "vae": "load.vae"}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": "drawn"}, "links": {"images": "decode.out"}},
    }
    return workflow(nodes, ["save"])


def states(job: Mapping[str, Json]) -> dict[str, str]:
    """Return what became of each node of a job."""
    return {node["node"]: node["state"] for node in job["node_states"]}
