"""Tell which family a checkpoint is of, by the names and shapes of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.diffusion.values import LatentFormat, Prediction
from nodegraph.diffusion.weights.errors import IncompleteModelError, UnknownModelError
from nodegraph.diffusion.weights.family import Config, Family, Part, ShapeError, Tensors
from nodegraph.diffusion.weights.hints import Schedule
from nodegraph.diffusion.weights.source import Source

OTHER_WEIGHTS = {
    r"^lora_|\.lora_(A|up|down)\.|\.hada_w1_a|\.lokr_w1": "a LoRA",
    r"^control_model\.|^controlnet_|^zero_convs\.": "a ControlNet",
    r"^(model\.diffusion_model\.)?double_blocks\.": "a Flux model",
    r"^(model\.diffusion_model\.)?joint_blocks\.": "a Stable Diffusion 3 model",
    r"^conditioner\.embedders\.": "an SDXL model",
    r"^cond_stage_model\.model\.": "a Stable Diffusion 2 model",
    r"^(encoder|decoder)\.(up|down|mid)": "an autoencoder alone",
    r"^(text_model\.)?encoder\.layers\.30\.|^transformer\.resblocks\.30\.": "OpenCLIP-bigG, a text encoder of SDXL",
    r"^(text_model\.)?encoder\.layers\.22\.|^transformer\.resblocks\.22\.": "OpenCLIP-H, Stable Diffusion 2's encoder",
    r"^(shared|encoder\.embed_tokens)\.weight$|^encoder\.block\.\d+\.layer\.": "a T5 text encoder",
    r"^(down_blocks|input_blocks)\.": "a denoising network alone",
    r"^(text_model\.)?(encoder\.layers|embeddings)\.": "a text encoder alone",
    r"^emb_params$": "a textual inversion",
    r"^model\.diffusion_model\.": "a denoising network, or a checkpoint with one",
}
"""Names that tell weights which are no checkpoint, or none that can be loaded yet; the first counts."""


@dataclass(frozen=True)
class Detected:
    """A checkpoint of a known family: each part's tensors under our names and its network's configuration."""

    family: Family
    parts: Mapping[str, Tensors]
    configs: Mapping[str, Config]
    prediction: Prediction
    schedule: Schedule
    latent: LatentFormat

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold its tensors."""
        return tuple(sorted({info.file for tensors in self.parts.values() for info in tensors.values()}))

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that the checkpoint lacks."""
        return tuple(part for part in self.family.parts if not self.parts[part.name])


def detect(source: Source, families: Iterable[Family]) -> Detected:
    """Return what a source is: the first family that nothing speaks against.

    Raises UnknownModelError if there is none, IncompleteModelError if a part's tensors give no configuration.
    """
    refused: list[tuple[Family, Sequence[str]]] = []
    for family in families:
        parts = family.split(source.tensors, source.folder)
        problems = family.problems(parts)
        if not problems:
            return _configured(source, family, parts)
        refused.append((family, problems))
    raise _unknown(source, refused)


def _configured(source: Source, family: Family, parts: Mapping[str, Tensors]) -> Detected:
    configs: dict[str, Config] = {}
    for part in family.parts:
        if not parts[part.name]:
            continue
        try:
            configs[part.name] = part.configure(parts[part.name], source.hints)
        except (ShapeError, ValueError) as error:
            raise IncompleteModelError(source.path, family.title, [f"{part.name}: {error}"]) from error
    return Detected(
        family,
        parts,
        configs,
        source.hints.prediction(family.prediction),
        source.hints.schedule(family.schedule),
        _latent(source, family, configs),
    )


def _latent(source: Source, family: Family, configs: Mapping[str, Config]) -> LatentFormat:
    """Return what the network sees of latents: as the autoencoder tells, else the file, else the family."""
    vae = configs.get("vae")
    if vae is None:
        return source.hints.latent(family.latent)
    colors = vae.preview_colors or family.latent.colors
    return LatentFormat(vae.latent_channels, vae.scale_factor, vae.shift_factor, colors)


def _unknown(source: Source, refused: Sequence[tuple[Family, Sequence[str]]]) -> UnknownModelError:
    looks_like = next((kind for pattern, kind in OTHER_WEIGHTS.items() if _any(pattern, source.tensors)), None)
    if not refused:
        return UnknownModelError(source.path, None, (), looks_like)
    family, problems = min(refused, key=lambda entry: len(entry[1]))
    parts = {part.title for one, _ in refused for part in one.parts}
    return UnknownModelError(source.path, family.title, problems, looks_like, parts.pop() if len(parts) == 1 else None)


def _any(pattern: str, names: Iterable[str]) -> bool:
    return any(re.search(pattern, name) for name in names)
