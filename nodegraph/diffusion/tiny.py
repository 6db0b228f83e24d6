"""Tiny autoencoders, which stand in for large ones where speed counts: loaded as an autoencoder, or for previews."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from nodegraph.diffusion.devices import default_device, default_dtype, parse_device, parse_dtype
from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.models.taesd import Taesd
from nodegraph.diffusion.values import LatentFormat, Network, Vae
from nodegraph.diffusion.weights.errors import IncompleteModelError, UnknownModelError
from nodegraph.diffusion.weights.family import Tensors, shown
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.layouts.taesd import (
    TITLE,
    halves,
    latent_channels,
    latent_format,
    partner,
    taesd_config,
)
from nodegraph.diffusion.weights.store import DTYPES, FileWeights

if TYPE_CHECKING:
    from nodegraph.diffusion.models.vae import Autoencoder


def tiny_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the tiny autoencoder at a path, with the one of its other half beside it; none: it is none.

    A folder is one as diffusers writes it. Raises a WeightsError for a file that cannot be read.
    """
    if path.is_dir():
        path = next(iter(sorted(path.glob("*.safetensors"))), path)
        if path.is_dir():
            return ()
    found = halves(read_header(path).tensors)
    if len(found) != 1:
        return (path,) if found else ()
    name = partner(path.name)
    other = None if name is None else path.with_name(name)
    if other is None or not other.is_file() or halves(read_header(other).tensors).keys() & found.keys():
        return (path,)
    return (path, other)


def load_tiny_vae(
    files: Sequence[Path], *, device: str | None = None, dtype: str | None = None, latent: LatentFormat | None = None
) -> Vae:
    """Open a tiny autoencoder in one file, or in the two of its halves; `latent` None: as the first file's name tells.

    Raises a WeightsError for files that are none, ValueError for an unknown device or precision.
    """
    path = files[0]
    found: dict[str, Tensors] = {}
    for file in files:
        found |= halves(read_header(file).tensors)
    if not found:
        raise UnknownModelError(path, None, ())
    channels = latent_channels(found)
    name = path.parent.name if path.name.startswith("diffusion_pytorch_model") else path.name
    config = taesd_config(found, latent or latent_format(name, channels))
    if config.latent_channels != channels:
        told = [f"latents of {channels} channels, expected {config.latent_channels}"]
        raise IncompleteModelError(path, TITLE, told)
    target = default_device() if device is None else parse_device(device)
    precision = default_dtype(target) if dtype is None else parse_dtype(dtype)
    tensors = {name: info for half in found.values() for name, info in half.items()}
    blueprint = Blueprint(
        partial(Taesd, config), FileWeights(tensors), target, precision, f"the {TITLE} of {path.name}"
    )
    _check(path, blueprint, tensors)
    return Vae(cast("Network[Autoencoder]", Stored(blueprint)), config.downscale, config.latent_channels)


def _check(path: Path, blueprint: Blueprint, tensors: Tensors) -> None:
    """Raise IncompleteModelError unless the tensors are exactly the network's."""
    expected = {name: tuple(tensor.shape) for name, tensor in blueprint.empty().state_dict().items()}
    problems = [f"no {name}" for name in expected.keys() - tensors.keys()]
    problems += [f"unknown tensor {name}" for name in tensors.keys() - expected.keys()]
    for name, info in tensors.items():
        if info.shape != expected.get(name, info.shape):
            problems.append(f"{name} is {shown(info.shape)}, expected {shown(expected[name])}")
        if info.dtype not in DTYPES:
            problems.append(f"{name} is stored as {info.dtype}, expected floating point")
    if problems:
        raise IncompleteModelError(path, TITLE, sorted(problems))


@torch.inference_mode()
def tiny_picture(vae: Vae, samples: torch.Tensor) -> torch.Tensor:
    """Return pixels (H, W, 3) in [0, 1] of one latent (C, h, w), unscaled."""
    with vae.network.lend() as network:
        weight = next(network.parameters())
        pixels = network.decode(samples[None].to(weight))[0].movedim(0, -1)
    return pixels.float().add(1).div(2).clamp(0, 1)
