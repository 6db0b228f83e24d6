"""Bundled nodes that take networks keep the contract of nodes too, with tiny ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nodegraph import Context
from nodegraph.diffusion.loading import Loaded, load
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.values import Guider, LatentOperation, Noise, Sigmas
from nodegraph.engine.node import spec_of
from nodegraph.engine.spec import NodeSpec
from nodegraph.engine.types import members
from nodegraph.nodes import register_nodes
from nodegraph.testing import Case, check_node, image, latent, mask

SPECS = {spec.id: spec for spec in map(spec_of, register_nodes())}
PARTS = {"Model", "Clip", "Vae", "Guider", "Lora"}
SMALL: Mapping[str, Any] = {"steps": 2, "tile_size": 64, "overlap": 32}
"""What keeps the work of a node small, where it has such inputs."""


def names(spec: NodeSpec) -> set[str]:
    return {getattr(kind, "__name__", "") for port in spec.inputs.values() for kind in members(port.type.annotation)}


def takes_parts(spec: NodeSpec) -> bool:
    """Tell whether a node takes networks that the tiny model has, and nothing that must be read from files."""
    return bool(names(spec) & PARTS) and not any(port.file for port in spec.inputs.values())


@pytest.fixture(scope="module")
def tuned(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Return the tiny model with some of its weights changed."""
    source, changed = (
        tiny_models / "checkpoints" / "tiny.safetensors",
        tmp_path_factory.mktemp("tuned") / "t.safetensors",
    )
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    random = torch.Generator().manual_seed(0)
    tensors = load_file(source)
    for name, tensor in tensors.items():
        if name.endswith(("to_q.weight", "to_v.weight")):
            tensors[name] = tensor + 0.1 * torch.randn(tensor.shape, generator=random)
    save_file(tensors, changed, metadata)
    return load(changed, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def values(tiny: Loaded, tuned: Loaded) -> Mapping[str, Any]:
    """Return a value for each type that the nodes take, by its name."""
    prompt = encode_prompt(tiny.clip, "a cat")
    extract = SPECS["LoraExtract"].function
    return {
        "Model": tiny.model,
        "Lora": extract(Context(), tuned.model, tiny.model, rank=2, conv_rank=0),
        "Clip": tiny.clip,
        "Vae": tiny.vae,
        "Conditioning": prompt,
        "Guider": Guider(tiny.model, prompt, prompt, 4.0),
        "Latent": latent(height=4, width=4),
        "Image": image(height=32, width=32),
        "Mask": mask(height=32, width=32),
        "Noise": Noise(3),
        "Sigmas": Sigmas((14.6, 5.0, 0.0)),
        "Sampler": get_sampler("euler_ancestral"),
        "LatentOperation": LatentOperation(_half),
    }


def _half(samples: Any) -> Any:
    return samples * 0.5


def arguments(spec: NodeSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in SMALL.items() if name in spec.inputs}
    for name, port in spec.inputs.items():
        if port.type.data:
            continue
        kinds = [getattr(kind, "__name__", "") for kind in members(port.type.annotation)]
        known = next((values[kind] for kind in kinds if kind in values), None)
        if known is not None:
            given[name] = known
    return given


@pytest.mark.parametrize("id", [id for id, spec in SPECS.items() if takes_parts(spec)])
def test_a_node_with_networks_keeps_the_contract(id: str, values: Mapping[str, Any]) -> None:
    spec = SPECS[id]
    check_node(Case(spec.function, arguments(spec, values), deadline=10.0))
