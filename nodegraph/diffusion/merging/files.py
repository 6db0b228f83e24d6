"""Checkpoints merged into a new file, and LoRAs baked into one, with a few tensors in memory at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch

from nodegraph.diffusion.adapters.match import Matched
from nodegraph.diffusion.merging.methods import MergeError, Method
from nodegraph.diffusion.merging.weights import MergedWeights, PatchedWeights
from nodegraph.diffusion.weights.load import Opened, open_checkpoint
from nodegraph.diffusion.weights.save import save_weights
from nodegraph.diffusion.weights.store import Weights
from nodegraph.diffusion.weights.stream import Tell

MERGED = ("unet", "clip")
"""The parts that are merged; the autoencoder stays the first model's, as merged latents would not be its own."""


def merge_checkpoints(
    target: Path,
    paths: Sequence[Path],
    method: Method,
    *,
    dtype: torch.dtype = torch.float16,
    parts: Collection[str] = MERGED,
    about: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Path:
    """Merge checkpoints of one family into a new file; what is not of `parts` is copied from the first.

    Raises MergeError for models that do not fit together, a WeightsError for files that are no checkpoints.
    """
    models = [open_checkpoint(path, device="cpu") for path in paths]
    first = models[0]
    for model in models[1:]:
        if model.family.name != first.family.name:
            raise MergeError(f"{first.path.name} is {first.family.title}, {model.path.name} is {model.family.title}")
    weights: dict[str, Weights] = {}
    for name, blueprint in first.blueprints.items():
        weights[name] = blueprint.weights
        if name in parts:
            weights[name] = MergedWeights(name, method, [model.blueprints[name].weights for model in models])
    return _saved(target, first, weights, dtype, about, tell)


def bake(
    target: Path,
    checkpoint: Path,
    adapters: Sequence[tuple[Matched, float, float]],
    *,
    dtype: torch.dtype = torch.float16,
    about: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Path:
    """Bake adapters into a checkpoint's weights, each with a strength for the network and one for the text encoder.

    Raises a WeightsError for a file that is no checkpoint.
    """
    model = open_checkpoint(checkpoint, device="cpu")
    weights: dict[str, Weights] = {}
    for part, blueprint in model.blueprints.items():
        patches = [
            (str(matched.path), matched.entries.get(part, {}), strength if part == "unet" else text_strength)
            for matched, strength, text_strength in adapters
        ]
        weights[part] = PatchedWeights(blueprint.weights, patches)
    return _saved(target, model, weights, dtype, about, tell)


def model_shapes(path: Path) -> dict[str, Mapping[str, tuple[int, ...]]]:
    """Return the shapes of a checkpoint's tensors by part, as `match` takes them, without reading one."""
    return {
        part: blueprint.weights.shapes for part, blueprint in open_checkpoint(path, device="cpu").blueprints.items()
    }


def _saved(
    target: Path,
    model: Opened,
    weights: Mapping[str, Weights],
    dtype: torch.dtype,
    about: Mapping[str, str] | None,
    tell: Tell | None,
) -> Path:
    return save_weights(
        target,
        weights,
        model.configs,
        family=model.family,
        dtype=dtype,
        prediction=model.prediction,
        schedule=model.schedule,
        about=about,
        tell=tell,
    )
