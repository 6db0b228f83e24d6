"""What a file of weights is, by the names and shapes of its tensors: headers only, no torch, nothing loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodegraph.collection import signs
from nodegraph.collection.adapters import adapter
from nodegraph.collection.kinds import BUNDLE
from nodegraph.diffusion.registry import families as known_families
from nodegraph.diffusion.weights.describe import PRECISIONS
from nodegraph.diffusion.weights.detect import Detected, detect
from nodegraph.diffusion.weights.errors import IncompleteModelError, UnknownModelError, WeightsError, shortened
from nodegraph.diffusion.weights.family import Family, Tensors
from nodegraph.diffusion.weights.header import BITS, Header
from nodegraph.diffusion.weights.hints import Hints
from nodegraph.diffusion.weights.layouts import taesd
from nodegraph.diffusion.weights.layouts.text_encoders import sole_families
from nodegraph.diffusion.weights.layouts.upscalers import UPSCALERS
from nodegraph.diffusion.weights.source import Source, open_source

LEAST_WIDTH, MOST_VECTORS, MOST_WORDS = 8, 1024, 16
"""Of an embedding: the width of its vectors, how many there are, and tensors in its file."""
FOR_FAMILIES: Final = ("loras", "embeddings")
"""Kinds of files that are of use with models of one family alone."""
ADDITIONS: Final = (*FOR_FAMILIES, "controlnet", "ipadapter", "vae", "vae_approx", "style_models")
PARTS: Final = {"diffusion_models": "unet", "text_encoders": "clip", "vae": "vae"}
"""Kinds of files that hold a part of a checkpoint -> the part."""
EMBEDDINGS: Final = {frozenset({768}): signs.SD1, frozenset({1024}): signs.SD2, frozenset({768, 1280}): signs.SDXL}


@dataclass(frozen=True)
class Identity:
    """What a file is.

    `kind` is the folder in which it belongs (None: it is not known), `what` what it is, `family` the title of the
    model family that it is of or for (None: not told), `detail` what else there is to say. `loads` tells whether it is
    of use here: of a family that is known, or for one.
    """

    kind: str | None
    what: str
    family: str | None
    detail: str
    precision: str
    parameters: int
    tensors: int
    loads: bool = False

    @property
    def title(self) -> str:
        """What it is and of which family, as one says it."""
        joined = "for" if self.kind in ADDITIONS else "of"
        return f"{self.what} {joined} {self.family}" if self.family else self.what


@dataclass(frozen=True)
class _Found:
    kind: str | None
    what: str
    family: str | None = None
    detail: str = ""
    loads: bool = False


def identify(path: Path, families: Iterable[Family] | None = None) -> Identity:
    """Say what a safetensors file, or a diffusers folder, is; raise a WeightsError for what is damaged or none."""
    known = known_families() if families is None else list(families)
    return identify_source(open_source(path, known) if path.is_file() else _folder(path, known), known)


def identify_header(header: Header, families: Iterable[Family] | None = None) -> Identity:
    """Say what a safetensors file is whose header is here already; raise a WeightsError for one that makes no sense."""
    known = known_families() if families is None else list(families)
    hints = Hints.from_metadata(header.file, header.metadata)
    return identify_source(Source(header.file, False, header.tensors, hints), known)


def identify_source(source: Source, known: list[Family]) -> Identity:
    """Say what weights are, by families that are known."""
    found = _identified(source, known)
    counts = _counts(source.tensors)
    return Identity(
        *(found.kind, found.what, found.family, found.detail, _precision(counts)),
        parameters=sum(counts.values()),
        tensors=len(source.tensors),
        loads=_loads(source, found, known),
    )


def _precision(counts: Mapping[str, int]) -> str:
    """Return the precision of most of the elements, and that there are others."""
    types = sorted(counts, key=lambda dtype: -counts[dtype])
    names = [PRECISIONS.get(dtype, dtype.lower()) for dtype in types]
    return "-" if not names else names[0] if len(names) == 1 else f"mixed ({', '.join(names)})"


def _loads(source: Source, found: _Found, known: list[Family]) -> bool:
    """Tell whether a file is of use: a checkpoint of a family that is known, a part of one, an addition to one."""
    if found.kind in FOR_FAMILIES:
        return found.family is None or any(family.title == found.family for family in known)
    part = PARTS.get(found.kind or "")
    if found.loads or part is None:
        return found.loads
    for family in sole_families(part, known):
        with suppress(WeightsError):
            detect(source, [family])
            return True
    return False


def _counts(tensors: Tensors) -> dict[str, int]:
    """Return how many elements there are of each type."""
    sizes: dict[str, int] = {}
    for info in tensors.values():
        sizes[info.dtype] = sizes.get(info.dtype, 0) + info.size
    return {dtype: size * 8 // BITS[dtype] for dtype, size in sizes.items()}


def _folder(path: Path, known: list[Family]) -> Source:
    try:
        return open_source(path, known)
    except WeightsError:
        if not (path / BUNDLE).is_file():
            raise
        return Source(path, True, {}, Hints(path))  # of a family that is not known here: its index tells


def _identified(source: Source, known: list[Family]) -> _Found:
    if source.folder:
        return _bundle(source, known)
    looks: Sequence[Callable[[Tensors], _Found | None]] = (_adapter, _sign, _unet, _taesd, _autoencoder, _embedding)
    whole = _checkpoint(source, known)
    if whole is not None:
        return whole
    for look in looks:
        found = look(source.tensors)
        if found is not None:
            return found
    return _upscaler(source) or _unknown(source, known)


def _bundle(source: Source, known: list[Family]) -> _Found:
    found = _detected(source, known)
    if found is not None:
        return _Found("diffusers", "diffusers folder", found.family.title, _lacks(found), True)
    try:
        name = json.loads((source.path / BUNDLE).read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError, RecursionError):
        name = None
    family = next((title for start, title in signs.PIPELINES.items() if str(name).startswith(start)), None)
    return _Found("diffusers", "diffusers folder", family, f"a {name}" if name else "")


def _detected(source: Source, known: Iterable[Family]) -> Detected | None:
    try:
        return detect(source, known)
    except UnknownModelError:
        return None


def _checkpoint(source: Source, known: list[Family]) -> _Found | None:
    """Tell a checkpoint, or a network alone under a checkpoint's names, of whatever family."""
    names = source.tensors
    stored = any(name.startswith(signs.NETWORK[0]) for name in names)
    if not stored or any(name.startswith("control_model.") for name in names):
        return None
    parts = {
        "autoencoder": any(name.startswith(signs.AUTOENCODER[:2]) for name in names),
        "text encoder": any(name.startswith(("cond_stage_model.", "conditioner.", "text_encoders.")) for name in names),
    }
    kind = "checkpoints" if any(parts.values()) else "diffusion_models"
    what = "checkpoint" if any(parts.values()) else "denoising network"
    found = _detected(source, known)
    if found is not None:
        lacks = _lacks(found) if kind == "checkpoints" else ""
        return _Found(kind, what, found.family.title, "; ".join(filter(None, (_variant(names), lacks))), True)
    told = _sign(names, "diffusion_models") or _unet(names)
    lacks = ", ".join(part for part, there in parts.items() if not there) if kind == "checkpoints" else ""
    detail = "; ".join(filter(None, (told.detail if told else "", f"without {lacks}" if lacks else "")))
    return _Found(kind, what, told.family if told else None, detail)


def _lacks(found: Detected) -> str:
    return f"without {', '.join(part.title for part in found.missing)}" if found.missing else ""


def _variant(tensors: Tensors) -> str:
    """Return what a UNet with further input channels is for."""
    for prefix in signs.NETWORK:
        if prefix + signs.LDM_UNET in tensors:
            shape = tensors[prefix + signs.LDM_UNET].shape
            return signs.VARIANTS.get(shape[1], "") if len(shape) == 4 else ""
    return ""


def _adapter(tensors: Tensors) -> _Found | None:
    if "lora_controlnet" in tensors:
        return None
    found = adapter(tensors)
    return None if found is None else _Found("loras", found.what, found.family, found.detail, True)


def _sign(tensors: Tensors, kind: str | None = None) -> _Found | None:
    for sign in signs.SIGNS:
        if kind not in (None, sign.kind):
            continue
        prefix = sign.fits(tensors)
        if prefix is None:
            continue
        family = sign.family_of(tensors, prefix)
        if sign.kind == "controlnet" and family is None:
            family = _by_context(tensors)
        return _Found(sign.kind, sign.what, family)
    return None


def _by_context(tensors: Tensors) -> str | None:
    """Return the family whose prompts a network attends to."""
    shape = next((info.shape for name, info in tensors.items() if signs.TO_KEYS.search(name)), ())
    return signs.BY_CONTEXT.get(shape[-1]) if shape else None


def _unet(tensors: Tensors) -> _Found | None:
    """Tell a UNet alone, in LDM's names or diffusers'."""
    ldm = any(prefix + signs.LDM_UNET in tensors for prefix in signs.NETWORK)
    if not ldm and not all(name in tensors for name in signs.DIFFUSERS_UNET):
        return None
    family = _by_context(tensors)
    if family is None and any("label_emb" in name for name in tensors):
        family = "ADM"
    return _Found("diffusion_models", "denoising network", family, _variant(tensors))


def _taesd(tensors: Tensors) -> _Found | None:
    """Tell a tiny autoencoder, or a half of one."""
    found = taesd.halves(tensors)
    if not found:
        return None
    half = f"{next(iter(found))} alone" if len(found) == 1 else ""
    family = signs.LATENTS.get(taesd.latent_channels(found))
    return _Found("vae_approx", "tiny autoencoder", family, half, True)


def _autoencoder(tensors: Tensors) -> _Found | None:
    for prefix in signs.AUTOENCODER:
        if not any(prefix + key in tensors for key in signs.DECODERS):
            continue
        info = tensors.get(f"{prefix}decoder.conv_in.weight")
        channels = info.shape[1] if info is not None and len(info.shape) == 4 else 0
        if f"{prefix}quantize.embedding.weight" in tensors:
            return _Found("vae", "autoencoder with a codebook", None, f"{channels} latent channels")
        encodes = any(name.startswith(f"{prefix}encoder.") for name in tensors)
        detail = f"{channels} latent channels" + ("" if encodes else ", decoder alone")
        return _Found("vae", "autoencoder", signs.LATENTS.get(channels), detail)
    return None


def _embedding(tensors: Tensors) -> _Found | None:
    """Tell a textual inversion: a few vectors as wide as a text encoder, and nothing of a network."""
    if not tensors or len(tensors) > MOST_WORDS or any(name.endswith((".weight", ".bias")) for name in tensors):
        return None
    words = [info for info in tensors.values() if len(info.shape) in (1, 2) and info.shape[-1] >= LEAST_WIDTH]
    if not words or any(len(info.shape) == 2 and info.shape[0] > MOST_VECTORS for info in words):
        return None
    if len(words) < len([info for info in tensors.values() if info.count > 1]):
        return None
    widths = frozenset(info.shape[-1] for info in words)
    vectors = max(info.shape[0] if len(info.shape) == 2 else 1 for info in words)
    several = f"{vectors} vectors" if vectors != 1 else "1 vector"
    family = EMBEDDINGS.get(widths)
    if family is None and not any(name in ("emb_params", "clip_l", "clip_g", "<*>") for name in tensors):
        return None
    return _Found("embeddings", "embedding", family, several, True)


def _upscaler(source: Source) -> _Found | None:
    found = _detected(source, UPSCALERS)
    if found is None:
        return None
    config = next(iter(found.configs.values()))
    return _Found("upscale_models", "upscaler", found.family.title, f"{config.scale} times as large", True)


def _unknown(source: Source, known: list[Family]) -> _Found:
    names = shortened(sorted(source.tensors))
    try:
        detect(source, [*known, *UPSCALERS])
    except (UnknownModelError, IncompleteModelError) as error:
        why = "; ".join(part for part in error.problem.split("; ")[1:] if not part.startswith("and "))
        return _Found(None, "unknown", None, "; ".join(filter(None, (f"it holds {names}", why))))
    return _Found(None, "unknown", None, f"it holds {names}")
