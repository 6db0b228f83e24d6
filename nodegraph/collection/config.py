"""The configuration file `nodegraph.toml`: where the user's models are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nodegraph.collection.kinds import KINDS, NAMES
from nodegraph.engine.errors import NodegraphError
from nodegraph.engine.nearest import nearest
from nodegraph.machine import user_config

FILE: Final = "nodegraph.toml"
KEYS: Final = ("models", "input", "extra_model_paths", "download", "folders")


class ConfigError(NodegraphError):
    """A configuration that cannot be used; the text names file, line and key, what was got and what would fit."""


@dataclass(frozen=True)
class Config:
    """What a configuration file says; paths are absolute.

    `models` are root folders, `folders` further ones by kind, `extra_model_paths` files of ComfyUI's. New models go
    below `download`; `input` are folders of pictures.
    """

    path: Path
    models: tuple[Path, ...] = ()
    input: tuple[Path, ...] = ()
    extra_model_paths: tuple[Path, ...] = ()
    download: Path | None = None
    folders: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


def own_config() -> Path:
    """Return where the user's configuration file is, if there is one."""
    return user_config() / FILE


def read_config(path: Path) -> Config:
    """Read a configuration file; raise `ConfigError` for anything in it that is not understood."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return _Reader(path.absolute(), text).config(values)


class _Reader:
    """Reads the values of one file and knows where they stand."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()

    def config(self, values: Mapping[str, Any]) -> Config:
        """Return what the values say."""
        for key in values:
            if key not in KEYS:
                raise self._error(key, f"unknown key {key!r}", key, KEYS)
        folders = values.get("folders", {})
        if not isinstance(folders, dict):
            raise self._error("folders", f"folders: got {folders!r}, expected a table of kinds")
        for kind in folders:
            if kind not in NAMES:
                raise self._error(kind, f"folders: unknown kind {kind!r}", kind, tuple(NAMES))
        by_kind: dict[str, tuple[Path, ...]] = dict.fromkeys(KINDS, ())
        for kind, value in folders.items():
            by_kind[NAMES[kind]] += self._paths(f"folders.{kind}", value)
        download = self._paths("download", values.get("download", []), single=True)
        return Config(
            self._path,
            models=self._paths("models", values.get("models", [])),
            input=self._paths("input", values.get("input", [])),
            extra_model_paths=self._paths("extra_model_paths", values.get("extra_model_paths", [])),
            download=download[0] if download else None,
            folders={kind: paths for kind, paths in by_kind.items() if paths},
        )

    def _paths(self, key: str, value: object, *, single: bool = False) -> tuple[Path, ...]:
        entries = [value] if isinstance(value, str) else value
        plain = isinstance(entries, list) and all(isinstance(entry, str) and entry.strip() for entry in entries)
        if not isinstance(entries, list) or not plain or (single and isinstance(value, list) and value):
            expected = "a path" if single else "a path, or a list of paths"
            raise self._error(key.rpartition(".")[2], f"{key}: got {value!r}, expected {expected}")
        return tuple(self._path.parent / home(entry) for entry in entries)

    def _error(self, key: str, problem: str, name: str = "", names: tuple[str, ...] = ()) -> ConfigError:
        """Return an error that tells the line of a key and, for a wrong name, the nearest one and what there is."""
        pattern = re.compile(rf"\s*\[?\s*(?:[\w.-]+\.)?[\"']?{re.escape(key)}[\"']?\s*(?:[.=\]]|$)")
        line = next((number for number, text in enumerate(self._lines, 1) if pattern.match(text)), None)
        place = f"{self._path}, line {line}" if line else str(self._path)
        if names:
            near = nearest(name, names)
            problem += f" (did you mean {near!r}?)" if near else ""
            problem += f"; there are {', '.join(names)}"
        return ConfigError(f"{place}: {problem}")


def home(entry: str) -> Path:
    """Return a path with `~` filled in, where there is a home."""
    try:
        return Path(entry).expanduser()
    except RuntimeError:  # a home that is not there
        return Path(entry)
