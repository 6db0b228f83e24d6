"""Which package gave a node type: kept beside the data, so that jobs can tell what they lack when it is gone."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from nodegraph.engine.plugins import Plugins, PluginState

log = logging.getLogger(__name__)
FILE: Final = "packages.json"
MOST: Final = 50_000
"""Node types that are remembered; those learned last stay."""


def remember(data: Path, plugins: Plugins) -> None:
    """Add the node types that are there now."""
    known = _read(data)
    now = {id: _name(state) for state in plugins.report if not state.builtin for id in state.nodes}
    merged = dict(list({**known, **now}.items())[-MOST:])
    if merged == known:
        return
    part = data / f".{FILE}.{token_hex(4)}.part"
    try:
        part.write_text(json.dumps(merged, indent=1), encoding="utf-8")
        part.replace(data / FILE)
    except OSError as error:
        log.warning("%s cannot be written: %s", data / FILE, error.strerror)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def package_of(data: Path, type_: str) -> str | None:
    """Return the package that a node type came with when it was last there, None where it never was."""
    return _read(data).get(type_)


def _name(state: PluginState) -> str:
    return state.package or state.name


def _read(data: Path) -> dict[str, str]:
    try:
        found = json.loads((data / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(id): str(name) for id, name in found.items()} if isinstance(found, dict) else {}
