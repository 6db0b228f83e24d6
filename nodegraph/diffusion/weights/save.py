"""Write checkpoints as single files that this library and others load."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion.values import DiffusionSchedule, Prediction
from nodegraph.diffusion.weights.family import Config, Family
from nodegraph.diffusion.weights.hints import KEY, Schedule, schedule_values
from nodegraph.diffusion.weights.layouts.sd1 import SD1


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
    settings: dict[str, object] = {"family": family.name, "prediction": prediction}
    settings["schedule"] = schedule_values(schedule or DiffusionSchedule())
    for part in family.parts:
        stored, ours = part.prefixes[0]
        for key, tensor in networks[part.name].state_dict().items():
            tensors[stored + key.removeprefix(ours)] = _stored(key, tensor, dtype)
        config: Config = networks[part.name].config
        settings[part.name] = {name: value for name, value in asdict(config).items() if name in part.settings}
    if about:
        settings["about"] = dict(about)
    # One entry only: safetensors writes several in random order, and equal weights should be equal files.
    write_file(path, tensors, {KEY: json.dumps(settings, sort_keys=True)})
    return path


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
