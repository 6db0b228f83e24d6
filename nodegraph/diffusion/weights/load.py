"""Load checkpoints without a copy: files are mapped into memory, networks made without memory, tensors put in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from nodegraph.diffusion.devices import default_device, default_dtype
from nodegraph.diffusion.registry import families as known_families
from nodegraph.diffusion.values import Prediction
from nodegraph.diffusion.weights.detect import Detected, detect
from nodegraph.diffusion.weights.errors import CorruptFileError, IncompleteModelError, PickledFileError
from nodegraph.diffusion.weights.family import Family, Part, Tensors, shown
from nodegraph.diffusion.weights.header import PICKLE_SUFFIXES, TensorInfo
from nodegraph.diffusion.weights.hints import Schedule
from nodegraph.diffusion.weights.source import CHUNK, Source, digest, open_source

if TYPE_CHECKING:
    from nodegraph.diffusion.models.clip import ClipText
    from nodegraph.diffusion.models.unet import UNet
    from nodegraph.diffusion.models.vae import Autoencoder

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the bytes loaded and the bytes in all; what it raises stops the loading."""

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


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


def load_checkpoint(
    path: Path,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    families: Iterable[Family] | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Load a single file or a diffusers folder onto a device, at a precision; None takes the default ones.

    Tensors that are stored at that precision and stay on the CPU are not copied: they are pages of the file. Raises a
    WeightsError for what is no checkpoint, is of no known family, or lacks something.
    """
    target = default_device() if device is None else torch.device(device)
    dtype = default_dtype(target) if dtype is None else dtype
    known = known_families() if families is None else list(families)
    source = open_source(path, known)
    detected = detect(source, known)
    _check_parts(source, detected)
    logger.info("loading %s: %s, %s on %s", path, detected.family.title, dtype, target)
    networks = _empty_networks(source, detected)
    with _Reader(detected, progress) as reader:
        for part in detected.family.parts:
            part_dtype = torch.float32 if dtype == torch.float16 and not part.survives_float16 else dtype
            network = networks[part.name]
            state = reader.read(network, detected.parts[part.name], target, part_dtype)
            network.load_state_dict(state, strict=True, assign=True)
            network.eval().requires_grad_(False)
    return Checkpoint(path, detected.files, detected.family, networks, detected.prediction, detected.schedule)


def _check_parts(source: Source, detected: Detected) -> None:
    for part in detected.missing:
        if source.folder:
            for file in sorted((source.path / part.folder).glob("*")):
                if file.suffix in PICKLE_SUFFIXES:
                    raise PickledFileError(file)
        place = f"{part.folder}/" if source.folder else " or ".join(f"{stored}*" for stored, _ in part.prefixes)
        raise IncompleteModelError(source.path, detected.family.title, [f"no {part.title} ({place})"])


def _empty_networks(source: Source, detected: Detected) -> dict[str, nn.Module]:
    """Make the networks on the meta device; raise IncompleteModelError unless the tensors are exactly theirs."""
    networks: dict[str, nn.Module] = {}
    problems: list[str] = []
    with torch.device("meta"):
        for part in detected.family.parts:
            networks[part.name] = part.build(detected.configs[part.name])
            problems += _differences(part, networks[part.name].state_dict(), detected.parts[part.name])
    if problems:
        raise IncompleteModelError(source.path, detected.family.title, problems)
    return networks


def _differences(part: Part, expected: Mapping[str, Tensor], tensors: Tensors) -> Iterable[str]:
    for key, tensor in expected.items():
        info, shape = tensors.get(key), tuple(tensor.shape)
        if info is None:
            yield f"{part.name}: no {key}"
        elif _without_ones(info.shape) != _without_ones(shape):
            yield f"{part.name}: {key} is {shown(info.shape)}, expected {shown(shape)}"
        elif info.dtype not in FLOATS:
            yield f"{part.name}: {key} is stored as {info.dtype}, expected floating point"
    for key in sorted(tensors.keys() - expected.keys()):
        yield f"{part.name}: unknown tensor {key}"


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop trailing ones: a linear layer [C, C] is a convolution [C, C, 1, 1]."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


class _Reader:
    """Reads tensors from the files of a checkpoint, each mapped once."""

    def __init__(self, detected: Detected, progress: Progress | None) -> None:
        self._progress = progress
        self._total = sum(info.size for tensors in detected.parts.values() for info in tensors.values())
        self._done = 0
        self._stack = ExitStack()
        self._files: dict[Path, Any] = {}

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, network: nn.Module, tensors: Tensors, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return a network's state at a device and precision, in the shapes that it has."""
        state: dict[str, Tensor] = {}
        for key, expected in network.state_dict().items():
            done = self._done
            state[key] = self._placed(self._get(tensors[key]), device, dtype).reshape(expected.shape)
            self._done = done + tensors[key].size
            self._tell()
        return state

    def _placed(self, tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return a tensor at a device and precision; a large one part by part, so that it can be stopped."""
        if (tensor.device.type, tensor.dtype) == (device.type, dtype) or tensor.nbytes <= CHUNK:
            return tensor.to(device=device, dtype=dtype)
        placed = torch.empty(tensor.shape, device=device, dtype=dtype)
        count = CHUNK // tensor.element_size()
        for part, stored in zip(placed.view(-1).split(count), tensor.reshape(-1).split(count), strict=True):
            part.copy_(stored)
            self._done += stored.nbytes
            self._tell()
        return placed

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _get(self, info: TensorInfo) -> Tensor:
        try:
            if info.file not in self._files:
                self._files[info.file] = self._stack.enter_context(safe_open(info.file, framework="pt"))
            tensor: Tensor = self._files[info.file].get_tensor(info.name)
        except (SafetensorError, OSError) as error:
            raise CorruptFileError(info.file, f"tensor {info.name!r} cannot be read: {error}") from error
        return tensor
