"""What wires carry between diffusion nodes: frozen values of plain fields, checked when made; imports no torch.

Tensors in a value are read-only: the value may sit in a cache. A variant is `dataclasses.replace(value, ...)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from nodegraph.diffusion.training_schedules import DiffusionSchedule as DiffusionSchedule
from nodegraph.diffusion.training_schedules import EdmSchedule as EdmSchedule
from nodegraph.diffusion.training_schedules import FlowSchedule as FlowSchedule
from nodegraph.diffusion.value_checks import brief, check_float32, check_origins, check_rank

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from nodegraph.diffusion.adapters.delta import Changes
    from nodegraph.diffusion.models.clip import ClipText
    from nodegraph.diffusion.models.vae import Autoencoder
    from nodegraph.diffusion.options.scene import NetworkOption
    from nodegraph.diffusion.sampling.contract import GuidanceRule, SidesRule
    from nodegraph.diffusion.text.tokenizer import Tokenizer

Prediction = Literal["eps", "v", "x0", "edm", "flow", "lcm", "img_to_img"]
PromptStyle = Literal["comfy", "a1111"]
Colors: TypeAlias = tuple[tuple[float, float, float], ...]
"""Red, green and blue that a channel adds to a picture in [-1, 1], a row a channel; the last row is that of zeros."""
ModuleT_co = TypeVar("ModuleT_co", bound="nn.Module", covariant=True)


class _Value:
    """Shows tensors by shape and dtype, so that a value fits in a log line."""

    def __repr__(self) -> str:
        shown = (f"{f.name}={brief(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True)
class Origin:
    """What a picture was drawn from: the seed of its noise and its place in the batch that the seed drew."""

    seed: int
    index: int


@dataclass(frozen=True, eq=False, repr=False)
class Image(_Value):
    """Pictures: `pixels` (B, H, W, C) float32 in [0, 1], C = 1 (grey), 3 (RGB) or 4 (RGB and alpha).

    `origins` tells of each picture what it was drawn from; empty: unknown.
    """

    pixels: Tensor
    origins: tuple[Origin, ...] = ()

    def __post_init__(self) -> None:
        check_rank("Image.pixels", self.pixels, "(B, H, W, C)")
        if self.pixels.shape[-1] not in (1, 3, 4):
            raise ValueError(f"Image.pixels: got {self.pixels.shape[-1]} channels last, expected 1, 3 or 4")
        check_float32("Image.pixels", self.pixels)
        check_origins("Image.origins", self.origins, self.pixels)

    def _repr_png_(self) -> bytes:
        """Show the pictures side by side, as a notebook asks for it."""
        from io import BytesIO

        from nodegraph.diffusion.images import to_pillow

        file = BytesIO()
        to_pillow(self.pixels.transpose(0, 1).flatten(1, 2)).save(file, format="PNG")  # (H, B*W, C)
        return file.getvalue()


@dataclass(frozen=True, eq=False, repr=False)
class Mask(_Value):
    """Masks: `values` (B, H, W) float32 in [0, 1]; 1 marks what is meant."""

    values: Tensor

    def __post_init__(self) -> None:
        check_rank("Mask.values", self.values, "(B, H, W)")
        check_float32("Mask.values", self.values)


@dataclass(frozen=True, eq=False, repr=False)
class Latent(_Value):
    """Latents in the autoencoder's own, unscaled space: `samples` (B, C, h, w).

    `noise_mask` (1 or B, H, W), at any size, limits sampling to where it is 1. `batch_index` gives each sample
    its place in a larger batch, so that a part of a batch gets the noise it had in the whole. `origins` tells of
    each sample what it was drawn from; empty: unknown.
    """

    samples: Tensor
    noise_mask: Tensor | None = None
    batch_index: tuple[int, ...] | None = None
    origins: tuple[Origin, ...] = ()

    def __post_init__(self) -> None:
        check_rank("Latent.samples", self.samples, "(B, C, h, w)")
        check_origins("Latent.origins", self.origins, self.samples)
        if self.noise_mask is not None:
            check_rank("Latent.noise_mask", self.noise_mask, "(B, H, W)")
        if self.batch_index is None:
            return
        if len(self.batch_index) != self.samples.shape[0] or min(self.batch_index, default=0) < 0:
            size = self.samples.shape[0]
            raise ValueError(f"Latent.batch_index: got {self.batch_index}, expected {size} indices from 0 up")


@dataclass(frozen=True)
class Area:
    """A rectangle that a conditioning is limited to, in latent cells, or as fractions of the picture."""

    x: float
    y: float
    width: float
    height: float
    fraction: bool = False

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) <= 0:
            raise ValueError(f"{self}: expected a corner at 0 or above and a size above 0")


@dataclass(frozen=True, eq=False, repr=False)
class ConditioningEntry(_Value):
    """One prompt and where, when and how strongly it holds.

    `embedding` (1 or B, T, D); `pooled` (1 or B, P); `mask` (1 or B, H, W) at any size; it holds while the share
    of sampling done lies in [`start`, `end`]. `extras` are further tensors that some networks take, by name.
    """

    embedding: Tensor
    pooled: Tensor | None = None
    strength: float = 1.0
    area: Area | None = None
    mask: Tensor | None = None
    mask_strength: float = 1.0
    mask_bounds: bool = False
    """Run the network on the mask's bounding box alone."""
    start: float = 0.0
    end: float = 1.0
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rank("ConditioningEntry.embedding", self.embedding, "(B, T, D)")
        if self.pooled is not None:
            check_rank("ConditioningEntry.pooled", self.pooled, "(B, P)")
        if self.mask is not None:
            check_rank("ConditioningEntry.mask", self.mask, "(B, H, W)")


@dataclass(frozen=True, eq=False, repr=False)
class Conditioning(_Value):
    """What the picture shall show: prompts that are combined by their weights; none is no condition at all."""

    entries: tuple[ConditioningEntry, ...]

    def changed(self, **changes: object) -> Conditioning:
        """Return a copy whose every entry has the given fields replaced."""
        return Conditioning(tuple(replace(entry, **changes) for entry in self.entries))  # type: ignore[arg-type]


@dataclass(frozen=True)
class LatentFormat:
    """What the network sees of the autoencoder's latents: `(z - shift) * scale`.

    `colors`, of what the network sees, tell in previews what a latent will look like; empty: unknown.
    """

    channels: int = 4
    scale: float = 0.18215
    shift: float = 0.0
    colors: Colors = ()


@dataclass(frozen=True, eq=False, repr=False)
class LatentPreview(Latent):
    """A latent that is on its way, to be looked at, and the format that tells what it looks like."""

    format: LatentFormat = field(default_factory=LatentFormat)


class Network(_Value, ABC, Generic[ModuleT_co]):
    """A network to run: where, at which precision, and how to get hold of its module."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Return where it runs."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Return the precision at which it runs."""

    @abstractmethod
    def lend(self, tell: Callable[[int, int], object] | None = None) -> AbstractContextManager[ModuleT_co]:
        """Lend the module for as long as the context lasts, bringing its weights first where they are not there.

        `tell` is called with the bytes brought and the bytes in all; what it raises stops the bringing.
        """


@dataclass(frozen=True, eq=False, repr=False)
class Placed(Network[ModuleT_co]):
    """A network whose module is at hand: it runs where its weights lie, and at their precision.

    The module is shared by all values that hold it, maybe in several threads: nothing moves or casts it.
    """

    module: ModuleT_co

    @property
    def device(self) -> torch.device:
        """Return the device of the weights; the CPU where there are none."""
        import torch

        return next((weight.device for weight in self.module.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision of the weights; float32 where there are none."""
        import torch

        return next((weight.dtype for weight in self.module.parameters()), torch.float32)

    def lend(self, tell: Callable[[int, int], object] | None = None) -> AbstractContextManager[ModuleT_co]:
        """Lend the module."""
        return nullcontext(self.module)


@dataclass(frozen=True, eq=False, repr=False)
class Model(_Value):
    """A denoising network and all that sampling must know of it.

    The network is called `(x (B, C, h, w), timestep (B,) float32, context=(B, T, D))`, with a conditioning's extras by
    name, and returns what `prediction` says, of x's shape.
    """

    network: Network[nn.Module]
    prediction: Prediction = "eps"
    schedule: DiffusionSchedule | FlowSchedule | EdmSchedule = field(default_factory=DiffusionSchedule)
    latent: LatentFormat = LatentFormat()
    context_dim: int | None = None
    """Width of the embeddings it takes, to refuse those of another family; None: unknown."""
    sigma_data: float = 1.0
    """Standard deviation of the data, for the `edm` prediction."""
    concat: Literal["", "inpaint", "image"] = ""
    """What it sees in further channels: a mask and the picture without the masked part, or a picture to change."""
    guidance: tuple[GuidanceRule | SidesRule, ...] = ()
    """What changes the guided sample, in this order."""
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    """The shares of sampling done between which there is guidance; elsewhere the positive prompt alone is followed."""
    differential: float = 0.0
    """How far a latent's mask tells when a place begins to change, not how much (Levin and Fried 2023)."""
    options: tuple[NetworkOption, ...] = ()
    """What acts inside the network while it is lent for sampling."""
    family: str = ""

    def __post_init__(self) -> None:
        if (self.prediction == "flow") != isinstance(self.schedule, FlowSchedule):
            raise ValueError(f"Model: prediction {self.prediction!r} does not go with {self.schedule}")


@dataclass(frozen=True)
class Sigmas:
    """Noise levels that a sampler visits, as a rule from high to low and with 0 last; fewer than two: no step."""

    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(0 <= level < math.inf for level in self.levels):
            raise ValueError(f"Sigmas: got {self.levels}, expected numbers of 0 or above")


@dataclass(frozen=True)
class Noise:
    """Where the noise of a sampling comes from; `silent`: there is none to start from, the seed feeds the sampler."""

    seed: int = 0
    silent: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Guider(_Value):
    """A model and the prompts that guide it; what more there is to guidance, the model's rules say."""

    model: Model
    positive: Conditioning
    negative: Conditioning = Conditioning(())
    cfg: float = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class TextEncoder(_Value):
    """A text encoder, its tokenizer and what is taken of it."""

    network: Network[ClipText]
    tokenizer: Tokenizer
    part: str = "clip"
    """What it is to a model, in checkpoints and LoRAs: `clip`, or `clip_l` and `clip_g` where a model has both."""
    pad: int | None = None
    """The token that fills chunks; None: the end token."""
    normed: bool = True
    """Whether the output of a layer goes through the final norm."""
    pools: bool = True
    """Whether its vector of a whole text is taken."""


@dataclass(frozen=True, eq=False, repr=False)
class Clip(TextEncoder):
    """A text encoder, with others `beside` it that read the same text, and how prompts are read."""

    stop_layer: int = -1
    """The layer whose output is taken: -1 the last, -2 the one before ("clip skip 2")."""
    prompt_style: PromptStyle = "comfy"
    words: Mapping[str, Mapping[int, Tensor]] = field(default_factory=dict)
    """Learned embeddings that came with a LoRA: by name, vectors (n, D) by the width D that they are for."""
    beside: tuple[TextEncoder, ...] = ()
    """Further text encoders, whose outputs follow this one's on the axis of features."""

    @property
    def encoders(self) -> tuple[TextEncoder, ...]:
        """Return all of its text encoders, in the order of their outputs."""
        return (self, *self.beside)

    def with_networks(self, change: Callable[[TextEncoder], Network[ClipText]]) -> Clip:
        """Return a copy whose text encoders have the networks that `change` gives for them."""
        beside = tuple(replace(encoder, network=change(encoder)) for encoder in self.beside)
        return replace(self, network=change(self), beside=beside)


@dataclass(frozen=True, eq=False, repr=False)
class Lora(_Value):
    """Changes of a model's tensors, fitted to its layout: by part (`unet`, `clip` ...) and name.

    `key` tells it from others; `shapes` are those of all the tensors of the parts.
    """

    key: str
    entries: Changes
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
    words: Mapping[str, Mapping[int, Tensor]] = field(default_factory=dict)
    """Learned embeddings that come with it."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What its file tells beside its tensors."""


@dataclass(frozen=True, eq=False, repr=False)
class Vae(_Value):
    """An autoencoder between pictures and latents; `downscale` pixels a latent cell along a side."""

    network: Network[Autoencoder]
    downscale: int = 8
    latent_channels: int = 4


@dataclass(frozen=True, eq=False, repr=False)
class UpscaleModel(_Value):
    """A network that makes pictures (B, 3, H, W) in [0, 1] larger by the factor `scale`."""

    network: Network[nn.Module]
    scale: int
    channels: int = 3
    """Channels of the pictures that it takes and gives."""
    family: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class LatentOperation(_Value):
    """A change of latents: `function` gives samples (B, C, h, w) for samples of the same shape."""

    function: Callable[[Tensor], Tensor]
