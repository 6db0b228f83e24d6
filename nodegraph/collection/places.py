"""Which folders hold the models of each kind, below a root folder of ComfyUI's or of A1111's layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph import resources
from nodegraph.collection.kinds import KINDS, Kind
from nodegraph.machine import user_data

WORKING = "working folder"
OWN = "user's data folder"
SHIPPED = "shipped"
BESIDE = ("embeddings", "configs")
"""Kinds that A1111 has in folders beside that of its models."""


@dataclass(frozen=True)
class Place:
    """A folder of files of one kind, and who said so; `default` ones are where new files go."""

    kind: str
    path: Path
    origin: str
    default: bool = False


def below(root: Path, origin: str) -> tuple[Place, ...]:
    """Return the folders of each kind below a root, whose layout is ComfyUI's, A1111's, or both at once.

    The root is the folder that holds those of the kinds, or the installation whose `models` does. Folders that are
    there come first; the kind's own is among them in any case, as it may be made later.
    """
    base = root / "models" if _holds(root / "models") and not _holds(root) else root
    found = [Place(kind.name, path, origin) for kind in KINDS.values() for path in _candidates(base, kind)]
    beside = base.parent / "embeddings"
    if (base / "Stable-diffusion").is_dir() and beside.is_dir():  # where A1111 has them
        found.append(Place("embeddings", beside, origin))
    return tuple(found)


def standard() -> tuple[Place, ...]:
    """Return the folders that are always searched: those here, the user's own, and what ships with nodegraph."""
    roots = ((Path("models"), WORKING), (user_data() / "models", OWN), (resources.models(), SHIPPED))
    return tuple(place for root, origin in roots for place in below(root, origin))


def by_kind(places: Iterable[Place]) -> dict[str, tuple[Path, ...]]:
    """Return the folders of each kind in the order in which they are searched; one with two names is searched once."""
    found: dict[str, dict[object, Path]] = {kind: {} for kind in KINDS}
    for place in places:
        found.setdefault(place.kind, {}).setdefault(_place(place.path), place.path)
    return {kind: tuple(paths.values()) for kind, paths in found.items()}


def model_folders(
    models: Sequence[Path] = (), folders: Mapping[str, Sequence[Path]] | None = None
) -> dict[str, tuple[Path, ...]]:
    """Return the folders of each kind: those below `models`, then `folders`, by kind, then those always searched."""
    given = [place for root in models for place in below(root, "")]
    given += [Place(kind, path, "") for kind, paths in (folders or {}).items() for path in paths]
    return by_kind([*given, *standard()])


def _holds(folder: Path) -> bool:
    """Tell whether a folder has one of the kinds in it; installations have some beside their `models`."""
    kinds = (kind for kind in KINDS.values() if kind.name not in BESIDE)
    return any((folder / name).is_dir() for kind in kinds for name in (*kind.folders, *kind.webui))


def _candidates(base: Path, kind: Kind) -> list[Path]:
    paths = [base / name for name in dict.fromkeys((*kind.folders, *kind.webui))]
    there = [path for path in paths if path.is_dir()]
    return there if paths[0] in there else [*there, paths[0]]


def _place(folder: Path) -> object:
    """Return what tells a folder from all others: where it lies on the disk, or its path while it is not there."""
    try:
        status = folder.stat()
    except OSError:
        return folder.absolute()
    return (status.st_dev, status.st_ino) if status.st_ino else folder.resolve()
