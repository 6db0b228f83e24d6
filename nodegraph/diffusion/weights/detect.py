"""Tell which family a checkpoint is of, by the names and shapes of its tensors alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodegraph.diffusion.values import Prediction
from nodegraph.diffusion.weights.errors import IncompleteModelError, UnknownModelError
from nodegraph.diffusion.weights.family import Config, Family, Part, ShapeError, Tensors
from nodegraph.diffusion.weights.hints import Schedule
from nodegraph.diffusion.weights.source import Source

OTHER_WEIGHTS = (
    ("lora_", "a LoRA"),
    (".lora_A.", "a LoRA"),
    ("control_model.", "a ControlNet"),
    ("controlnet_cond_embedding.", "a ControlNet"),
    ("double_blocks.", "a Flux model"),
    ("joint_blocks.", "a Stable Diffusion 3 model"),
    ("conditioner.embedders.", "an SDXL model"),
    ("decoder.up_blocks.", "an autoencoder alone, with diffusers' names"),
    ("decoder.up.", "an autoencoder alone"),
    ("down_blocks.", "a denoising network alone, with diffusers' names"),
    ("text_model.encoder.", "a text encoder alone"),
    ("emb_params", "a textual inversion"),
)
"""Pieces of names that tell weights which are no checkpoint, or not yet one that can be loaded; the first counts."""


@dataclass(frozen=True)
class Detected:
    """A checkpoint of a known family: each part's tensors under our names and its network's configuration."""

    family: Family
    parts: Mapping[str, Tensors]
    configs: Mapping[str, Config]
    prediction: Prediction
    schedule: Schedule

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that the checkpoint lacks."""
        return tuple(part for part in self.family.parts if not self.parts[part.name])


def detect(source: Source, families: Iterable[Family]) -> Detected:
    """Return what a source is: the first family that nothing speaks against.

    Raises UnknownModelError if there is none, IncompleteModelError if a part's tensors give no configuration.
    """
    refused: list[tuple[float, Family, Sequence[str]]] = []
    for family in families:
        parts = family.split(source.tensors, source.folder)
        problems = family.problems(parts)
        if not problems:
            return _configured(source, family, parts)
        lacking = sum(problem.startswith(tuple(f"{part}: no " for part in parts)) for problem in problems)
        refused.append((lacking + len(problems) / 100, family, problems))
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
    )


def _unknown(source: Source, refused: Sequence[tuple[float, Family, Sequence[str]]]) -> UnknownModelError:
    looks_like = next((kind for piece, kind in OTHER_WEIGHTS if any(piece in name for name in source.tensors)), None)
    if not refused:
        return UnknownModelError(source.path, None, (), looks_like)
    _, family, problems = min(refused, key=lambda entry: entry[0])
    return UnknownModelError(source.path, family.title, problems, looks_like)
