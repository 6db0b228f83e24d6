"""Tiny autoencoders: halves in files of their own or together, in their authors' names or diffusers'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from nodegraph.diffusion.models.configs import TaesdConfig
from nodegraph.diffusion.values import LatentFormat
from nodegraph.diffusion.weights.family import Tensors

ENCODER, DECODER = "encoder", "decoder"
TITLE = "tiny autoencoder"
LAYER = re.compile(r"^(?P<start>(.*?\.)??)(?P<index>\d+)\.(?P<rest>(conv\.\d+\.)?(weight|bias))$")
"""A tensor of a numbered layer; the first one of a decoder is 1 in authors' files and 0 in diffusers'."""

FORMATS: Mapping[str, LatentFormat] = {
    "taesd": LatentFormat(4, 0.18215),
    "taesdxl": LatentFormat(4, 0.13025),
    "taesd3": LatentFormat(16, 1.5305, 0.0609),
    "taef1": LatentFormat(16, 0.3611, 0.1159),
}
"""The latents that a tiny autoencoder is of, by the beginning of its file's name: its weights do not tell."""
LONGEST_FIRST = sorted(FORMATS, key=len, reverse=True)
FAMILIES = {"xl": "taesdxl", "sd3": "taesd3", "f1": "taef1", "flux": "taef1"}
"""Parts of other names that tell the same."""
BY_CHANNELS = {4: "taesd", 16: "taef1"}


def halves(tensors: Tensors) -> dict[str, Tensors]:
    """Return the encoder's and the decoder's tensors under our names; empty where it is no tiny autoencoder."""
    by_start: dict[str, dict[str, str]] = {}
    for name in tensors:
        found = LAYER.match(name)
        if found is not None:
            by_start.setdefault(found["start"], {})[f"{found['index']}.{found['rest']}"] = name
    result: dict[str, Tensors] = {}
    for layers in by_start.values():
        half = _half(layers, tensors)
        if half is not None:
            kind, later = half
            result[kind] = {f"{kind}.{_later(layer, later)}": tensors[name] for layer, name in layers.items()}
    return result


def _half(layers: Mapping[str, str], tensors: Tensors) -> tuple[str, int] | None:
    """Return which half numbered layers are, and by how much later ours are numbered; None: they are none."""
    first = next((index for index in (0, 1) if f"{index}.weight" in layers), None)
    if first is None or "3.conv.0.weight" not in layers:
        return None
    shape = tensors[layers[f"{first}.weight"]].shape
    if len(shape) != 4 or shape[2:] != (3, 3):
        return None
    return (ENCODER, 0) if first == 0 and shape[1] == 3 else (DECODER, 1 - first)


def _later(layer: str, by: int) -> str:
    index, _, rest = layer.partition(".")
    return f"{int(index) + by}.{rest}"


def taesd_config(found: Mapping[str, Tensors], latent: LatentFormat) -> TaesdConfig:
    """Read the configuration of what `halves` gave."""
    firsts = {ENCODER: f"{ENCODER}.0.weight", DECODER: f"{DECODER}.1.weight"}
    half = next(iter(found))
    return TaesdConfig(
        latent_channels=latent.channels,
        channels=found[half][firsts[half]].shape[0],
        scale_factor=latent.scale,
        shift_factor=latent.shift,
        encodes=ENCODER in found,
        decodes=DECODER in found,
    )


def latent_channels(found: Mapping[str, Tensors]) -> int:
    """Return the channels of the latents that halves are of."""
    if DECODER in found:
        return found[DECODER][f"{DECODER}.1.weight"].shape[1]
    last = max(int(name.split(".")[1]) for name in found[ENCODER])
    info = found[ENCODER].get(f"{ENCODER}.{last}.weight")
    return 0 if info is None else info.shape[0]


def latent_format(name: str, channels: int) -> LatentFormat:
    """Return the latents that a tiny autoencoder is of, by its file's or folder's name and their channels."""
    stem = PurePath(name).name.lower()
    known = [key for key in LONGEST_FIRST if stem.startswith(key)]
    known += [key for part, key in FAMILIES.items() if part in stem]
    fitting = [key for key in known if FORMATS[key].channels == channels]
    key = fitting[0] if fitting else BY_CHANNELS.get(channels)
    return LatentFormat(channels, 1.0) if key is None else FORMATS[key]


def partner(name: str) -> str | None:
    """Return the name of the file that has the other half of a file's, None where the name tells none."""
    path = PurePath(name)
    for half, other in ((ENCODER, DECODER), (DECODER, ENCODER)):
        if half in path.name:
            return path.with_name(path.name.replace(half, other)).as_posix()
    return None


def decoder_name(latent: LatentFormat, names: tuple[str, ...]) -> str | None:
    """Return which of some files has the decoder for such latents, by names such as `taesd_decoder`; None: none."""
    for name in names:
        stem = PurePath(name).name.lower()
        key = next((key for key in LONGEST_FIRST if stem.startswith(key)), None)
        if key is not None and ENCODER not in stem and replace(latent, colors=()) == FORMATS[key]:
            return name
    return None
