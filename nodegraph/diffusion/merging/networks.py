"""Networks merged from others: made tensor by tensor when they are used, so that none but the result is in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nodegraph.diffusion.memory.stored import Stored, stored
from nodegraph.diffusion.merging.methods import MergeError, Method
from nodegraph.diffusion.merging.weights import MergedWeights, PatchedWeights
from nodegraph.diffusion.registry import families
from nodegraph.diffusion.training_schedules import DiffusionSchedule
from nodegraph.diffusion.values import Clip, LatentFormat, Model, Network, Vae
from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.save import save_weights
from nodegraph.diffusion.weights.store import Weights
from nodegraph.diffusion.weights.stream import Tell


def merged_model(method: Method, *models: Model) -> Model:
    """Merge models by a method; all but the weights is the first one's. Raises MergeError where they do not fit."""
    for other in models[1:]:
        if other.family != models[0].family:
            raise MergeError(f"the first model is of the family {models[0].family!r}, another of {other.family!r}")
    return replace(models[0], network=_merged("unet", method, *(model.network for model in models)))


def merged_clip(method: Method, *clips: Clip) -> Clip:
    """Merge text encoders by a method; all but the weights is the first one's."""
    words = {name: word for clip in reversed(clips) for name, word in clip.words.items()}
    return replace(clips[0], network=_merged("clip", method, *(clip.network for clip in clips)), words=words)


def baked(network: Stored[Any]) -> Weights:
    """Return a network's weights with its patches in them, each made when it is read."""
    if not network.patches:
        return network.blueprint.weights
    patches = [(patch.key, patch.deltas, patch.strength) for patch in network.patches]
    return PatchedWeights(network.blueprint.weights, patches)


def save_networks(
    path: Path,
    *,
    model: Model | None = None,
    clip: Clip | None = None,
    vae: Vae | None = None,
    dtype: torch.dtype | None = torch.float16,
    about: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Path:
    """Write what is given as a single file, patches baked in, with one tensor in memory at a time; return its path.

    None as `dtype` keeps each tensor's precision. Raises ValueError for networks that come from no file.
    """
    values: dict[str, Model | Clip | Vae | None] = {"unet": model, "clip": clip, "vae": vae}
    networks = {part: stored(value.network) for part, value in values.items() if value is not None}
    latent = model.latent if model is not None else LatentFormat()
    return save_weights(
        path,
        {part: baked(network) for part, network in networks.items()},
        {part: network.blueprint.config for part, network in networks.items()},
        family=_family(model),
        dtype=dtype,
        prediction=model.prediction if model is not None else "eps",
        schedule=model.schedule if model is not None else DiffusionSchedule(),
        latent=latent,
        about=about,
        tell=tell,
    )


def _merged(part: str, method: Method, *networks: Network[Any]) -> Network[Any]:
    given = [stored(network) for network in networks]
    weights = MergedWeights(part, method, [baked(network) for network in given])
    first = given[0].blueprint
    return Stored(replace(first, weights=weights, title=f"{first.title}, merged"))


def _family(model: Model | None) -> Family:
    known: list[Family] = families()
    wanted = model.family if model is not None else ""
    return next((family for family in known if family.name == wanted), known[0])
