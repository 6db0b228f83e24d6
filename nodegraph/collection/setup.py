"""Where the models are, as the command line, the environment and the user's configuration say together."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from nodegraph.collection.config import Config, home, own_config, read_config
from nodegraph.collection.extra_paths import read_extra_paths
from nodegraph.collection.places import OWN, SHIPPED, Place, below, by_kind, standard
from nodegraph.machine import user_data

VARIABLE: Final = "NODEGRAPH_MODELS"
OPTION: Final = "--models"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collection:
    """The folders of models, in the order in which they are searched, and those of pictures.

    `roots` are the folders that hold those of the kinds; `config` is the file that was read, if there was one.
    """

    places: tuple[Place, ...]
    roots: tuple[Path, ...] = ()
    input: tuple[Path, ...] = ()
    download: Path | None = None
    config: Path | None = None

    @cached_property
    def folders(self) -> dict[str, tuple[Path, ...]]:
        """The folders of each kind."""
        return by_kind(self.places)

    def destination(self, kind: str) -> Path:
        """Return the folder in which a new file of a kind belongs; it may have to be made.

        It is one of the command line's, else below `download`, else one of a default section of ComfyUI's paths, else
        the first that is there or whose root is, else one of the user's own.
        """
        ours = [place for place in self.places if place.kind == kind and place.origin not in (OWN, SHIPPED)]
        asked = [place for place in ours if place.origin == OPTION]
        if self.download is not None:
            asked += [place for place in below(self.download, "") if place.kind == kind]
        asked += sorted(ours, key=lambda place: not place.default)
        there = (place.path for place in asked if self._can_hold(place))
        own = self.download if self.download is not None else user_data() / "models"
        return next(there, own / kind)

    def _can_hold(self, place: Place) -> bool:
        """Tell whether new files can go to a place: it or its root is there, or it is the user's wish."""
        wished = self.download is not None and place.path.is_relative_to(self.download)
        return wished or place.path.is_dir() or place.path.parent.is_dir()


def collect(
    models: tuple[Path, ...] = (),
    extra_model_paths: tuple[Path, ...] = (),
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Collection:
    """Return the folders of models: those given, then the environment's, the configuration's, and the standard ones.

    `config` stands in for the user's own file, which may be missing. Raises `ConfigError` and `PathsFileError`.
    """
    variables = os.environ if environment is None else environment
    settings = read_config(config) if config is not None else _own()
    named = [(root, OPTION) for root in models]
    from_variable = [(home(text), VARIABLE) for text in variables.get(VARIABLE, "").split(os.pathsep) if text.strip()]
    places = [place for root, origin in named for place in below(root, origin)]
    for path in extra_model_paths:
        places += read_extra_paths(path)
    places += [place for root, origin in from_variable for place in below(root, origin)]
    places += _configured(settings)
    roots = [*models, *(root for root, _ in from_variable), *(settings.models if settings else ())]
    return Collection(
        tuple(Place(place.kind, place.path.absolute(), place.origin, place.default) for place in _told(places)),
        tuple(root.absolute() for root in roots),
        settings.input if settings else (),
        settings.download if settings else None,
        settings.path if settings else None,
    )


def _own() -> Config | None:
    path = own_config()
    return read_config(path) if path.is_file() else None


def _configured(settings: Config | None) -> Iterator[Place]:
    """Give the folders that a configuration names: roots, then folders by kind, then ComfyUI's."""
    if settings is None:
        return
    origin = str(settings.path)
    for root in settings.models:
        yield from below(root, origin)
    for kind, paths in settings.folders.items():
        yield from (Place(kind, path, origin) for path in paths)
    for path in settings.extra_model_paths:
        yield from read_extra_paths(path)
    if settings.download is not None:
        yield from below(settings.download, origin)


def _told(places: list[Place]) -> list[Place]:
    """Return the places with the standard ones after them; say so where all that somebody named is not there."""
    for origin in dict.fromkeys(place.origin for place in places):
        named = [place.path for place in places if place.origin == origin]
        if not any(path.is_dir() for path in named):
            log.debug("%s names no folder that is there, such as %s", origin, named[0])
    return [*places, *standard()]
