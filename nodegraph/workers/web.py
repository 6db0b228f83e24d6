"""What plugins add to the editor: modules of JavaScript and what these load, read once, when the plugin is."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from nodegraph.engine.errors import PluginError
from nodegraph.engine.plugins import Plugins

log = logging.getLogger(__name__)
MEDIA: Final[Mapping[str, str]] = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
"""What is served, by the ends of names; other files in the folder are not."""
MOST_FILES: Final = 500
MOST_BYTES: Final = 16 * 2**20
"""Of one plugin."""
_PART: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")


@dataclass(frozen=True, slots=True)
class Web:
    """A plugin's part of the editor: a folder of its package, and those modules in it that the editor loads.

    `Web(importlib.resources.files(__name__) / "web", modules=("curve.js",))`.
    """

    folder: Traversable
    modules: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as browsers get it."""

    media: str
    etag: str
    data: bytes


@dataclass(frozen=True)
class WebFiles:
    """The files of one plugin; `refused` tells what was left out, and why."""

    modules: tuple[str, ...] = ()
    files: Mapping[str, WebFile] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def collect_web(plugins: Plugins) -> dict[str, WebFiles]:
    """Read what each plugin adds; what is wrong with one does not concern the others, nor its own nodes."""
    found: dict[str, WebFiles] = {}
    for name, state in plugins.states.items():
        others = [other for other in plugins.manager.get_plugins() if plugins.manager.get_name(other) != name]
        if state.state != "loaded":
            continue
        try:
            results = plugins.manager.subset_hook_caller("register_web", others)()
            if results:
                found[name] = _read(results[0])
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; its nodes stay
            log.warning("what the plugin %s adds to the editor: %s: %s", name, type(error).__name__, error)
            what = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
            found[name] = WebFiles(refused=(f"register_web failed: {what}{error}",))
    return found


def _read(web: object) -> WebFiles:
    if not isinstance(web, Web):
        raise PluginError(f"it returns {type(web).__name__}; expected nodegraph.workers.web.Web")
    if not web.folder.is_dir():
        raise PluginError(f"there is no folder {web.folder.name!r}")
    files: dict[str, WebFile] = {}
    size = 0
    for name, file in _walk(web.folder, ""):
        data = file.read_bytes()
        size += len(data)
        if len(files) >= MOST_FILES or size > MOST_BYTES:
            raise PluginError(f"the folder has more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB")
        media = MEDIA[PurePosixPath(name).suffix.lower()]
        files[name] = WebFile(media, hashlib.sha256(data).hexdigest()[:32], data)
    refused = [
        f"the module {name!r} is refused: there is no such file, or it does not end in .js or .mjs"
        for name in web.modules
        if name not in files or files[name].media != MEDIA[".js"]
    ]
    modules = tuple(name for name in web.modules if name in files and files[name].media == MEDIA[".js"])
    return WebFiles(modules, files, tuple(refused))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    """Give the files that are served, by their paths below the folder."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not _PART.fullmatch(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif PurePosixPath(entry.name).suffix.lower() in MEDIA and entry.is_file():
            yield f"{prefix}{entry.name}", entry
