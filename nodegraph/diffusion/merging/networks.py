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
from nodegraph.diffusion.values import Clip, LatentFormat, Model, Network, TextEncoder, Vae
from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.layouts.text_encoders import TEXT_ENCODERS
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
    """Merge text encoders by a method, each with its like; all but the weights is the first one's.

    Raises MergeError for ones of other kinds.
    """
    words = {name: word for clip in reversed(clips) for name, word in clip.words.items()}
    given = [{encoder.part: encoder.network for encoder in clip.encoders} for clip in clips]
    for networks in given[1:]:
        if networks.keys() != given[0].keys():
            first, other = (" and ".join(sorted(parts)) for parts in (given[0], networks))
            raise MergeError(f"the text encoders of the first are {first}, of another {other}")
    merged = clips[0].with_networks(
        lambda encoder: _merged(encoder.part, method, *(networks[encoder.part] for networks in given))
    )
    return replace(merged, words=words)


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

    None as `dtype` keeps each tensor's precision. Raises ValueError for networks that come from no file, and for text
    encoders that are not of the model's family.
    """
    values: dict[str, Model | TextEncoder | Vae | None] = {"unet": model, **_encoders(model, clip), "vae": vae}
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


def save_text_encoder(
    path: Path,
    encoder: TextEncoder,
    *,
    about: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Path:
    """Write one of several text encoders alone, under transformers' names, as `save_networks` does; return its path."""
    family = next(family for family in TEXT_ENCODERS if family.name == encoder.part)
    network = stored(encoder.network)
    weights, configs = {encoder.part: baked(network)}, {encoder.part: network.blueprint.config}
    return save_weights(path, weights, configs, family=family, dtype=None, about=about, tell=tell)


def _encoders(model: Model | None, clip: Clip | None) -> dict[str, TextEncoder]:
    """Return the text encoders by part; raise ValueError where a checkpoint of the model's family has others."""
    encoders = {} if clip is None else {encoder.part: encoder for encoder in clip.encoders}
    family = _family(model)
    if not encoders.keys() <= family.named.keys():
        raise ValueError(
            f"a checkpoint of {family.title} has no text encoders {' and '.join(encoders)}; CLIPSave writes them alone"
        )
    return encoders


def _merged(part: str, method: Method, *networks: Network[Any]) -> Network[Any]:
    given = [stored(network) for network in networks]
    weights = MergedWeights(part, method, [baked(network) for network in given])
    first = given[0].blueprint
    return Stored(replace(first, weights=weights, title=f"{first.title}, merged"))


def _family(model: Model | None) -> Family:
    known: list[Family] = families()
    wanted = model.family if model is not None else ""
    return next((family for family in known if family.name == wanted), known[0])
