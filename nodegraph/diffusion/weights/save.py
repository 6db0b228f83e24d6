"""Write checkpoints as single files that this library and others load."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion.values import DiffusionSchedule, LatentFormat, Prediction
from nodegraph.diffusion.weights.family import Config, Family
from nodegraph.diffusion.weights.hints import KEY, Schedule, schedule_values
from nodegraph.diffusion.weights.layouts.sd1 import SD1
from nodegraph.diffusion.weights.store import Weights
from nodegraph.diffusion.weights.stream import Entry, Tell, save_streamed, weights_entries


def save_checkpoint(
    path: Path,
    networks: Mapping[str, nn.Module],
    *,
    family: Family = SD1,
    dtype: torch.dtype = torch.float16,
    prediction: Prediction = "eps",
    schedule: Schedule | None = None,
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write the networks, by part (`unet`, `vae`, `clip`), as a single safetensors file; return its path.

    What shapes cannot tell goes into the metadata, with `about` (a title, a licence ...). The file appears whole or
    not at all, and the same weights give the same bytes. Raises ValueError for a part too few or too many, and for
    weights that are not finite at `dtype`; OSError if it cannot be written.
    """
    names = {part.name for part in family.parts}
    if networks.keys() != names:
        raise ValueError(f"got the parts {sorted(networks)}, expected {sorted(names)}")
    tensors: dict[str, Tensor] = {}
    for part in family.parts:
        for key, tensor in networks[part.name].state_dict().items():
            tensors[part.stored_name(key)] = _stored(key, tensor, dtype)
    configs: dict[str, Config] = {name: network.config for name, network in networks.items()}
    write_file(path, tensors, _metadata(family, configs, prediction, schedule, about))
    return path


def save_weights(
    path: Path,
    weights: Mapping[str, Weights],
    configs: Mapping[str, Config],
    *,
    family: Family = SD1,
    dtype: torch.dtype | None = torch.float16,
    prediction: Prediction = "eps",
    schedule: Schedule | None = None,
    latent: LatentFormat | None = None,
    about: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Path:
    """Write weights, by part, as a single safetensors file, reading or making one tensor at a time; return its path.

    `configs` are those of the parts' networks; parts may be left out, and `latent` then stands for an autoencoder that
    is. None as `dtype` keeps each tensor's precision.
    Otherwise it is as `save_checkpoint`.
    """
    parts = [part for part in family.parts if part.name in weights]
    if not weights or len(parts) < len(weights) or not weights.keys() <= configs.keys():
        raise ValueError(f"got the parts {sorted(weights)}, expected some of {sorted(configs)}")
    with ExitStack() as stack:
        entries: list[Entry] = []
        for part in parts:
            stored = weights[part.name]
            reader = stack.enter_context(stored.opened())
            entries += weights_entries(stored, reader, dtype, part.stored_name)
        told = {part.name: configs[part.name] for part in parts}
        metadata = _metadata(family, told, prediction, schedule, about, None if "vae" in told else latent)
        return save_streamed(path, entries, metadata, tell=tell)


def _metadata(
    family: Family,
    configs: Mapping[str, Config],
    prediction: Prediction,
    schedule: Schedule | None,
    about: Mapping[str, str] | None,
    latent: LatentFormat | None = None,
) -> dict[str, str]:
    """Return what shapes cannot tell; one entry only, as safetensors writes several in random order."""
    settings: dict[str, object] = {"family": family.name, "prediction": prediction}
    settings["schedule"] = schedule_values(schedule or DiffusionSchedule())
    for part in family.parts:
        if part.name in configs:
            values = asdict(configs[part.name])
            settings[part.name] = {name: value for name, value in values.items() if name in part.settings}
    if latent is not None:
        settings["latent"] = asdict(latent)
    if about:
        settings["about"] = dict(about)
    return {KEY: json.dumps(settings, sort_keys=True)}


def write_file(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file under a temporary name and rename it, so that it appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's umask says; safetensors makes files for their owner alone
        save_file(dict(tensors), temporary, dict(metadata))
        temporary.chmod(mode)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise OSError(f"{path}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.detach().to("cpu", dtype).contiguous()
    if not stored.isfinite().all():
        raise ValueError(f"{key} is not finite at {str(dtype).removeprefix('torch.')}")
    return stored
