"""Find CLIP's vocabulary on this machine: nothing is downloaded, no package is imported to look into it."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from nodegraph.diffusion.text import clip_bpe
from nodegraph.diffusion.text.tokenizer import Tokenizer, TokenizerError, TokenizerNotFoundError

logger = logging.getLogger(__name__)

MERGES_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
# Packages that carry OpenAI's merges file, and where: open_clip_torch, clip-anytorch (or OpenAI's own), refiners.
_CARRIERS = (
    ("open_clip", "bpe_simple_vocab_16e6.txt.gz"),
    ("clip", "bpe_simple_vocab_16e6.txt.gz"),
    ("refiners", "foundationals/clip/bpe_simple_vocab_16e6.txt.gz"),
)
_HUB_REPOSITORIES = (
    "openai/clip-vit-large-patch14",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "runwayml/stable-diffusion-v1-5",
    "CompVis/stable-diffusion-v1-4",
)

# Built once a process: these vocabularies do not change while it runs.
_merges_tokenizer = lru_cache(maxsize=4)(clip_bpe.from_merges_file)
_instant_tokenizer = lru_cache(maxsize=1)(clip_bpe.InstantClipTokenizer)


def clip_tokenizer(model: Path | None = None, configured: Path | None = None) -> Tokenizer:
    """Return CLIP's tokenizer from the first place that has it.

    The places: `configured` (a merges file, a `tokenizer.json` or a folder), the folder `model` or its `tokenizer`,
    installed packages that carry OpenAI's merges file, `instant_clip_tokenizer`, the cache of the Hugging Face hub.
    Raise TokenizerNotFoundError where all are empty, TokenizerError for broken files in the two named places.
    """
    looked_at = []
    for place, load in _places(model, configured):
        tokenizer = load()
        if tokenizer is not None:
            logger.debug("CLIP vocabulary from %s", place)
            return tokenizer
        looked_at.append(place)
    raise TokenizerNotFoundError(
        "CLIP's vocabulary is not on this machine. Install instant-clip-tokenizer, or where it has no wheel "
        "open_clip_torch (without its dependencies will do: pip install --no-deps open_clip_torch), or put the model's "
        f"tokenizer folder (vocab.json, merges.txt) beside it. Looked at: {'; '.join(looked_at)}."
    )


def _places(model: Path | None, configured: Path | None) -> Iterator[tuple[str, Callable[[], Tokenizer | None]]]:
    if configured is not None:
        yield f"the configured path {configured}", partial(_from_path, configured)
    for folder in (model / "tokenizer", model) if model is not None else ():
        yield f"the folder {folder}", partial(clip_bpe.from_folder, folder)
    for package, inside in _CARRIERS:
        yield f"the package {package}", partial(_from_package, package, inside)
    yield "the package instant_clip_tokenizer", _from_instant_clip
    cache = _hub_cache()
    for repository in _HUB_REPOSITORIES:
        yield f"the hub cache of {repository}", partial(_from_hub_cache, cache, repository)


def _from_path(path: Path) -> Tokenizer:
    if path.is_dir():
        found = clip_bpe.from_folder(path) or clip_bpe.from_folder(path / "tokenizer")
        if found is None:
            raise TokenizerError(f"{path}: holds neither vocab.json with merges.txt nor tokenizer.json")
        return found
    return clip_bpe.from_tokenizer_json(path) if path.suffix == ".json" else clip_bpe.from_merges_file(path)


def _from_package(package: str, inside: str) -> Tokenizer | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a half-installed package is no vocabulary, and no reason to stop
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / inside
        if not path.is_file():
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == MERGES_SHA256:
            return _merges_tokenizer(path)
        logger.warning("%s is not OpenAI's merges file (its sha256 differs): not used", path)
    return None


def _from_instant_clip() -> Tokenizer | None:
    try:
        return _instant_tokenizer() if importlib.util.find_spec("instant_clip_tokenizer") else None
    except ImportError as error:  # a wheel of another platform
        logger.warning("instant_clip_tokenizer is installed, but broken: %s", error)
        return None


def _from_hub_cache(cache: Path, repository: str) -> Tokenizer | None:
    snapshots = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
    for folder in sorted(snapshots.glob("*")):
        try:
            found = clip_bpe.from_folder(folder) or clip_bpe.from_folder(folder / "tokenizer")
        except TokenizerError as error:  # half a download
            logger.warning("passed over in the hub cache: %s", error)
            continue
        if found is not None:
            return found
    return None


def _hub_cache() -> Path:
    """Return the hub's cache folder by the rules of huggingface_hub's documentation."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME")
    general = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(home) if home else general / "huggingface") / "hub"
