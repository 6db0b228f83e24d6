"""What pictures carry of how they were made: workflows in ours and ComfyUI's forms, and our record.

PNG files have text chunks; WEBP and JPEG files have EXIF fields of the form `key:value`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image as Pillow

from nodegraph.engine.spec import Json

OURS: Final = "nodegraph"
RECORD: Final = "nodegraph_record"
PROMPT: Final = "prompt"
EDITOR: Final = "workflow"
KEYS: Final = (OURS, RECORD, PROMPT, EDITOR)


class EmbeddedError(ValueError):
    """A file whose embedded texts cannot be read; the message names the file."""


@dataclass(frozen=True)
class Embedded:
    """What a picture carries, as JSON; None: nothing of the kind."""

    workflow: Json = None
    """A workflow in nodegraph's own form."""
    prompt: Json = None
    """A workflow in ComfyUI's API form."""
    editor: Json = None
    """A workflow as ComfyUI's editor draws it."""
    record: Json = None
    """The record of what made the picture."""


def read_embedded(path: Path) -> Embedded:
    """Read what a picture carries; raise `EmbeddedError` for what is no picture, or holds damaged texts."""
    if path.is_dir():
        raise EmbeddedError(f"{path}: a folder: name the pictures in it, such as {path / '*.png'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are the business of who reads the pixels
            with Pillow.open(path) as file:
                texts = dict(_texts(file))
    except FileNotFoundError as error:
        raise EmbeddedError(f"{path}: no such file") from error
    except Exception as error:  # on damaged files Pillow raises anything
        raise EmbeddedError(f"{path}: not a readable picture ({type(error).__name__}: {error})") from error
    found = {key: _parsed(path, key, text) for key, text in texts.items()}
    return Embedded(found.get(OURS), found.get(PROMPT), found.get(EDITOR), found.get(RECORD))


def _texts(file: Pillow.Image) -> Iterator[tuple[str, str]]:
    """Give the texts of a picture that are known here, by name."""
    for key in KEYS:
        text = file.info.get(key)
        if isinstance(text, str):
            yield key, text
    for value in file.getexif().values():
        if isinstance(value, str):
            key, _, text = value.partition(":")
            if key in KEYS:
                yield key, text


def _parsed(path: Path, key: str, text: str) -> Json:
    try:
        return json.loads(text, parse_constant=lambda _: None)  # some of ComfyUI's files say NaN
    except (ValueError, RecursionError) as error:
        raise EmbeddedError(f"{path}: its text {key!r} is damaged: no JSON ({error})") from error
