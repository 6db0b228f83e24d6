"""ComfyUI's `extra_model_paths.yaml`: where else it looks for models, read in place so that both see the same."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nodegraph.collection.kinds import NAMES, RESERVED
from nodegraph.collection.places import Place
from nodegraph.engine.errors import NodegraphError

LARGEST: Final = 1_000_000
"""Bytes of such a file; real ones take a few hundred."""
BASE, DEFAULT = "base_path", "is_default"
log = logging.getLogger(__name__)


class PathsFileError(NodegraphError):
    """A file of model paths that cannot be used; the text names the file and the place in it."""


def read_extra_paths(path: Path) -> tuple[Place, ...]:
    """Return the folders that such a file names, those of sections with `is_default` first.

    A section's paths are relative to its `base_path`, and that to the file; `~` and variables of the environment are
    filled in. Kinds that are not known here are kept under their names, as plugins may know them. Raises
    `PathsFileError`.
    """
    document = _load(path)
    if document is None:
        return ()
    if not isinstance(document, dict):
        raise PathsFileError(f"{path}: got {_named(document)}, expected sections such as `comfyui:`")
    found = [place for name, section in document.items() for place in _section(path, str(name), section)]
    return tuple(sorted(found, key=lambda place: not place.default))


def _load(path: Path) -> Any:
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise PathsFileError(f"{path}: larger than {LARGEST} bytes, which no file of model paths is")
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PathsFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PathsFileError(f"{path}: not UTF-8 at byte {error.start}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        why = getattr(error, "problem", None) or error
        raise PathsFileError(f"{path}{place}: not valid YAML: {why}") from error


def _section(path: Path, name: str, section: object) -> Iterator[Place]:
    """Give the folders of a section, in the order in which it names them."""
    if section is None:
        return
    if not isinstance(section, dict):
        raise PathsFileError(f"{path}: section {name!r}: got {_named(section)}, expected kinds and their folders")
    base, default = _base(path, name, section), section.get(DEFAULT, False)
    if not isinstance(default, bool):
        raise PathsFileError(f"{path}: {name}.{DEFAULT}: got {default!r}, expected true or false")
    for kind, value in section.items():
        if kind in (BASE, DEFAULT) or value is None:
            continue
        if kind in RESERVED:
            log.debug("%s: %s.%s holds no models and is passed over", path, name, kind)
            continue
        for line in _lines(path, f"{name}.{kind}", value):
            yield Place(NAMES.get(str(kind), str(kind)), _joined(base, line), str(path), default)


def _base(path: Path, name: str, section: Mapping[Any, object]) -> Path:
    value = section.get(BASE)
    if value is None:
        return path.absolute().parent
    if not isinstance(value, str) or not value.strip():
        raise PathsFileError(f"{path}: {name}.{BASE}: got {value!r}, expected a folder")
    return _joined(path.absolute().parent, value.strip())


def _lines(path: Path, place: str, value: object) -> list[str]:
    """Return the folders of a value, which stand a line each."""
    lines = value.split("\n") if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise PathsFileError(f"{path}: {place}: got {_named(value)}, expected folders, a line each")
    return [line.strip() for line in lines if line.strip()]


def _joined(base: Path, text: str) -> Path:
    """Return a path of the file, which may have been written on another system."""
    given = os.path.expandvars(text)
    if os.sep == "/" and "\\" in given and not (base / given).exists():
        given = given.replace("\\", "/")
    try:
        return Path(os.path.normpath(base / Path(given).expanduser()))
    except RuntimeError:  # a home that is not there
        return Path(os.path.normpath(base / given))


def _named(value: object) -> str:
    names = {str: "a text", list: "a list", dict: "a table", int: "a number", float: "a number", bool: "yes or no"}
    return names.get(type(value), type(value).__name__)
