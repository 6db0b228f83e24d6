"""Find the files that ship with nodegraph, from a checkout and from an installed wheel.

`workflows/` and `web/` lie beside the package in a checkout and inside it in a wheel; documentation and the bundled
model lie inside it in both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    """Return the folder called `name`, inside the package (wheel) or beside it (checkout)."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def workflows() -> Path:
    """Return the folder of the ready-to-run workflow files."""
    return _shipped("workflows")


def web() -> Path:
    """Return the folder of the pages that the server shows."""
    return _shipped("web")


def docs() -> Path:
    """Return the folder of the user and plugin-author documentation."""
    return _PACKAGE / "docs"


def models() -> Path:
    """Return the folder of the bundled model files; in it is one folder a kind, such as `checkpoints`."""
    return _PACKAGE / "models"
