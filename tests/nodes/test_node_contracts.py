"""Every bundled node that needs no model keeps the contract that `nodegraph.testing` checks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.diffusion.images import write_png
from nodegraph.diffusion.latent_files import write_latent
from nodegraph.diffusion.latents import tonemapped
from nodegraph.diffusion.values import LatentOperation, Sigmas
from nodegraph.engine.node import spec_of
from nodegraph.engine.spec import MISSING, Json, NodeSpec
from nodegraph.engine.types import members
from nodegraph.nodes import register_nodes
from nodegraph.testing import Case, check_node, image, latent, mask

MODELS = {"Model", "Clip", "Vae", "UpscaleModel", "Guider", "Lora"}
"""Types of values that hold networks: their nodes are tested with tiny models, elsewhere."""

MORE = {"more": {"type": "LatentMultiply", "params": {"multiplier": 2.0}}}
NO = {"no": {"type": "PrimitiveBoolean", "params": {"value": False}}}
EACH: Json = {
    "inputs": {"item": ["double.multiplier"]},
    "outputs": {"out": "double.out"},
    "nodes": {
        "empty": {"type": "EmptyLatentImage"},
        "double": {"type": "LatentMultiply", "links": {"samples": "empty.out"}},
    },
}
ROUND: Json = {"inputs": {"state": ["more.samples"]}, "outputs": {"state": "more.out"}, "nodes": MORE}
LOOP: Json = {**ROUND, "outputs": {"state": "more.out", "again": "no.out"}, "nodes": {**MORE, **NO}}
SIGMAS = Sigmas((14.6, 5.0, 1.0, 0.0))
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "ForEach": {"items": [1.0, 2.0], "body": EACH},
    "Repeat": {"times": 2, "initial": latent(), "body": ROUND},
    "Loop": {"initial": latent(), "body": LOOP},
    "If": {"then": image(), "otherwise": 2},
    "Switch": {"a": 1, "b": "two"},
    "Collect": {"a": image(), "b": [1, 2]},
    "Gate": {"value": image()},
    "ChooseImage": {"images": image(2)},
    "LatentApplyOperation": {"operation": LatentOperation(partial(tonemapped, multiplier=1.0))},
    "LoadImage": {"image": "photo.png"},
    "LoadImageOutput": {"image": "photo.png"},
    "LoadImageMask": {"image": "photo.png"},
    "LoadLatent": {"latent": "some.latent"},
    "SplitSigmas": {"sigmas": SIGMAS, "step": 1},
    "SplitSigmasDenoise": {"sigmas": SIGMAS, "denoise": 0.5},
    "FlipSigmas": {"sigmas": SIGMAS},
    "SetFirstSigma": {"sigmas": SIGMAS},
    "ExtendIntermediateSigmas": {"sigmas": SIGMAS},
    "GrowMask": {"mask": mask(2), "expand": 2},
    "ImageQuantize": {"image": image(2)},
    "SaveImage": {"images": image(2)},
    "PreviewImage": {"images": image(2, channels=4)},
    "ImageBatch": {"image1": image(2), "image2": image(1, 4, 6, 4)},
    "RegexReplace": {"string": "a cat", "regex_pattern": "c(a)t", "replace": r"d\1g"},
}
"""Node -> what it gets, where what is made up does not do, or shows too little."""
ANSWERS: Mapping[str, Json] = {"Gate": "go on", "ChooseImage": 0}
SPECS = {spec.id: spec for spec in map(spec_of, register_nodes())}


def needs_model(spec: NodeSpec) -> bool:
    """Tell whether a node takes a network, or reads one from a file."""
    types = (member for port in spec.inputs.values() for member in members(port.type.annotation))
    if any(getattr(kind, "__name__", "") in MODELS for kind in types):
        return True
    return any(port.file not in (None, "input", "output") for port in spec.inputs.values())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    write_png(folder / "photo.png", torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(0)))
    write_latent(folder / "some.latent", latent().samples, {})
    return {"input": folder, "output": folder}


@pytest.mark.parametrize("id", [id for id, spec in SPECS.items() if not needs_model(spec)])
def test_a_bundled_node_keeps_the_contract(id: str, files: Mapping[str, Path]) -> None:
    spec = SPECS[id]
    own = {kind: folder for kind, folder in files.items() if any(port.file == kind for port in spec.inputs.values())}
    check_node(Case(spec.function, ARGUMENTS.get(id, {}), files=own, answer=ANSWERS.get(id, MISSING)))


def test_the_examples_are_of_nodes_that_are_there() -> None:
    assert set(ARGUMENTS) - set(SPECS) == set()
    assert len([spec for spec in SPECS.values() if not needs_model(spec)]) > 80
