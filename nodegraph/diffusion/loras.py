"""LoRAs on models: read for a model, put on with strengths, taken out of the difference of models, saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from nodegraph.diffusion.adapters.blocks import weighted_changes
from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.adapters.save import save_lora
from nodegraph.diffusion.memory.patches import Patch
from nodegraph.diffusion.memory.stored import Stored, stored
from nodegraph.diffusion.merging.loras import Extraction, combine_loras, extract_lora
from nodegraph.diffusion.merging.lowrank import RankRule
from nodegraph.diffusion.merging.networks import baked
from nodegraph.diffusion.values import Clip, Lora, Model, Network


class Dressed(NamedTuple):
    """A model and its text encoder with a LoRA on."""

    model: Model | None
    clip: Clip | None


def load_lora(
    path: Path, model: Model | None = None, clip: Clip | None = None, *, warn: Callable[[str], object] = lambda _: None
) -> Lora:
    """Read a LoRA, or its kin, for a model, a text encoder or both; `warn` hears of layers that do not fit.

    Raises AdapterMismatchError, which tells the family that it is for, where none fits; AdapterError for what is no
    LoRA; a WeightsError for what is no safetensors file.
    """
    networks = _networks(model, clip)
    adapter = read_adapter(path)
    matched = match(adapter, {part: network.blueprint.weights.shapes for part, network in networks.items()}).checked()
    if matched.unfitted:
        warn(f"{path.name}: {matched.summary}")
    status = path.stat()
    key = f"{path}:{status.st_size}:{status.st_mtime_ns}"
    return Lora(key, matched.entries, matched.shapes, adapter.embeddings, matched.metadata)


def with_lora(
    lora: Lora,
    model: Model | None,
    clip: Clip | None,
    strength_model: float = 1.0,
    strength_clip: float = 1.0,
    blocks: str = "",
) -> Dressed:
    """Return the model and the text encoder with a LoRA on; nothing is copied, and the ones given stay as they are.

    `blocks` are strengths a block, as `block_weights` takes them; empty: the same everywhere.
    """
    changes = weighted_changes(lora.entries, blocks) if blocks.strip() else lora.entries
    key = f"{lora.key}|{blocks.strip()}"

    def on(network: Network[Any], part: str, strength: float) -> Network[Any]:
        if not strength or not changes.get(part):
            return network
        return stored(network).patched(Patch(key, changes[part], strength))

    if model is not None:
        model = replace(model, network=on(model.network, "unet", strength_model))
    if clip is not None:
        if strength_clip:
            _check_text(lora, clip)
        words = {**clip.words, **lora.words} if strength_clip else clip.words
        dressed = clip.with_networks(lambda encoder: on(encoder.network, encoder.part, strength_clip))
        clip = replace(dressed, words=words)
    return Dressed(model, clip)


def combined(loras: Sequence[tuple[Lora, float, float]], rule: RankRule | None = None) -> Lora:
    """Add up LoRAs, each with a strength for the network and one for the text encoder, to one.

    Without a `rule` the sum is exact and as large as all together; with one it is brought to its rank. Raises
    MergeError for changes that hang on the weights (DoRA, OFT ...).
    """
    changes = combine_loras(loras, rule, clamp=None)
    words = {name: word for lora, *_ in loras for name, word in lora.words.items()}
    shapes = {part: names for lora, *_ in loras for part, names in lora.shapes.items()}
    told = [(lora.key, *strengths) for lora, *strengths in loras]
    return Lora(_hash("combined", told, rule), changes, shapes, words)


def extracted(
    tuned: tuple[Model | None, Clip | None],
    base: tuple[Model | None, Clip | None],
    how: Extraction,
    check: Callable[[], object] = lambda: None,
) -> Lora:
    """Return the LoRA that makes a tuned model of its base, of those parts that both are given of.

    `check` is called now and then; what it raises stops the extraction. Raises MergeError for other kinds of models.
    """
    ours, theirs = _networks(*tuned), _networks(*base)
    changes, told = {}, []
    for part in [part for part in ours if part in theirs]:
        weights = baked(ours[part]), baked(theirs[part])
        told.append((part, *(one.key for one in weights)))
        changes[part] = extract_lora(*weights, how, lambda _: check())
    return Lora(_hash("extracted", told, how), changes, {part: ours[part].blueprint.weights.shapes for part in changes})


def taken_whole(
    model: Model | None, clip: Clip | None, how: Extraction, check: Callable[[], object] = lambda: None
) -> Lora:
    """Return the LoRA of a model that is itself the difference of two, as subtracting one from another gives."""
    changes, networks, told = {}, _networks(model, clip), []
    for part, network in networks.items():
        weights = baked(network)
        told.append((part, weights.key))
        changes[part] = extract_lora(weights, None, how, lambda _: check())
    shapes = {part: network.blueprint.weights.shapes for part, network in networks.items()}
    return Lora(_hash("whole", told, how), changes, shapes)


def write_lora(
    path: Path,
    lora: Lora,
    *,
    dtype: torch.dtype = torch.float16,
    names: Literal["diffusers", "ldm"] = "diffusers",
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write a LoRA in kohya's layout; raise ValueError for changes that such a file cannot hold."""
    return save_lora(
        path, lora.entries, lora.shapes, dtype=dtype, names=names, metadata={**lora.about, **(about or {})}
    )


def _networks(model: Model | None, clip: Clip | None) -> dict[str, Stored[Any]]:
    networks = {} if model is None else {"unet": stored(model.network)}
    encoders = () if clip is None else clip.encoders
    return networks | {encoder.part: stored(encoder.network) for encoder in encoders}


def _check_text(lora: Lora, clip: Clip) -> None:
    """Raise ValueError for a LoRA that changes text encoders, but none of these."""
    changed = {part for part, deltas in lora.entries.items() if deltas and part != "unet"}
    parts = {encoder.part for encoder in clip.encoders}
    if changed and not changed & parts:
        told = [" and ".join(sorted(names)) for names in (changed, parts)]
        raise ValueError(f"the LoRA was read for the text encoders {told[0]}, these are {told[1]}")


def _hash(*told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()
