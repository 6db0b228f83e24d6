"""Load checkpoints without a copy: files are mapped into memory, networks made without memory, tensors put in."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from nodegraph.diffusion.devices import default_device, default_dtype
from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.filling import Tell, filled
from nodegraph.diffusion.registry import families as known_families
from nodegraph.diffusion.values import LatentFormat, Prediction
from nodegraph.diffusion.weights.detect import Detected, detect
from nodegraph.diffusion.weights.errors import IncompleteModelError, PickledFileError
from nodegraph.diffusion.weights.family import Config, Family, Part, Tensors, shown
from nodegraph.diffusion.weights.header import PICKLE_SUFFIXES
from nodegraph.diffusion.weights.hints import Schedule
from nodegraph.diffusion.weights.source import Source, digest, open_source
from nodegraph.diffusion.weights.store import DTYPES, FileWeights

if TYPE_CHECKING:
    from nodegraph.diffusion.models.clip import ClipText
    from nodegraph.diffusion.models.unet import UNet
    from nodegraph.diffusion.models.vae import Autoencoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: its networks by part, ready for inference, and how its denoising network was trained."""

    path: Path
    files: tuple[Path, ...]
    family: Family
    networks: Mapping[str, nn.Module]
    prediction: Prediction
    schedule: Schedule

    @property
    def unet(self) -> UNet:
        """The denoising network."""
        return cast("UNet", self.networks["unet"])

    @property
    def vae(self) -> Autoencoder:
        """The autoencoder."""
        return cast("Autoencoder", self.networks["vae"])

    @property
    def clip(self) -> ClipText:
        """The text encoder."""
        return cast("ClipText", self.networks["clip"])

    @cached_property
    def sha256(self) -> str:
        """The hash of its files, computed when first asked for."""
        return digest(self.files)


@dataclass(frozen=True, eq=False)
class Opened:
    """A checkpoint whose headers were read and checked: its networks as blueprints, by part."""

    path: Path
    files: tuple[Path, ...]
    family: Family
    blueprints: Mapping[str, Blueprint]
    configs: Mapping[str, Config]
    prediction: Prediction
    schedule: Schedule
    latent: LatentFormat


def open_checkpoint(
    path: Path,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    families: Iterable[Family] | None = None,
) -> Opened:
    """Read what a single file or a diffusers folder holds, but none of its tensors; None takes the default place.

    Raises a WeightsError for what is no checkpoint, is of no known family, or lacks something.
    """
    target = default_device() if device is None else torch.device(device)
    dtype = default_dtype(target) if dtype is None else dtype
    known = known_families() if families is None else list(families)
    source = open_source(path, known)
    detected = detect(source, known)
    _check_parts(source, detected)
    blueprints = {}
    for part in detected.family.parts:
        config, tensors = detected.configs[part.name], detected.parts[part.name]
        part_dtype = torch.float32 if dtype == torch.float16 and not part.survives_float16 else dtype
        title = f"the {part.title} of {path.name}"
        weights = FileWeights(tensors)
        blueprints[part.name] = Blueprint(partial(part.build, config), weights, target, part_dtype, title, config)
    _check_tensors(source, detected, blueprints)
    return Opened(
        path,
        detected.files,
        detected.family,
        blueprints,
        detected.configs,
        detected.prediction,
        detected.schedule,
        detected.latent,
    )


def load_checkpoint(
    path: Path,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    families: Iterable[Family] | None = None,
    progress: Tell | None = None,
) -> Checkpoint:
    """Load a checkpoint as `open_checkpoint` finds it, whole; nobody but the caller holds it.

    Tensors that are stored at that precision and stay on the CPU are not copied: they are pages of the file.
    """
    opened = open_checkpoint(path, device=device, dtype=dtype, families=families)
    logger.info("loading %s: %s", path, opened.family.title)
    blueprints = opened.blueprints
    total = sum(sum(map(one.weights.size, one.weights.shapes)) for one in blueprints.values())
    networks, before = {}, 0
    for name, blueprint in blueprints.items():
        done = 0

        def tell(now: int, _: int, before: int = before) -> None:
            nonlocal done
            done = before + now
            if progress is not None:
                progress(done, total)

        network = networks[name] = blueprint.empty()
        network.load_state_dict(filled(blueprint, tell=tell), strict=True, assign=True)
        network.requires_grad_(False)
        before = done
    return Checkpoint(path, opened.files, opened.family, networks, opened.prediction, opened.schedule)


def _check_parts(source: Source, detected: Detected) -> None:
    for part in detected.missing:
        if source.folder:
            for file in sorted((source.path / part.folder).glob("*")):
                if file.suffix in PICKLE_SUFFIXES:
                    raise PickledFileError(file)
        place = f"{part.folder}/" if source.folder else " or ".join(f"{stored}*" for stored, _ in part.prefixes)
        raise IncompleteModelError(source.path, detected.family.title, [f"no {part.title} ({place})"])


def _check_tensors(source: Source, detected: Detected, blueprints: Mapping[str, Blueprint]) -> None:
    """Raise IncompleteModelError unless the tensors are exactly those of the networks."""
    problems: list[str] = []
    for part in detected.family.parts:
        problems += _differences(part, blueprints[part.name].shapes, detected.parts[part.name])
    if problems:
        raise IncompleteModelError(source.path, detected.family.title, problems)


def _differences(part: Part, expected: Mapping[str, tuple[int, ...]], tensors: Tensors) -> Iterable[str]:
    for key, shape in expected.items():
        info = tensors.get(key)
        if info is None:
            yield f"{part.name}: no {key}"
        elif _without_ones(info.shape) != _without_ones(shape):
            yield f"{part.name}: {key} is {shown(info.shape)}, expected {shown(shape)}"
        elif info.dtype not in DTYPES:
            yield f"{part.name}: {key} is stored as {info.dtype}, expected floating point"
    for key in sorted(tensors.keys() - expected.keys()):
        yield f"{part.name}: unknown tensor {key}"


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop trailing ones: a linear layer [C, C] is a convolution [C, C, 1, 1]."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
