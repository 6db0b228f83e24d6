"""What host and worker have in common: the runtime that the server's configuration asks for."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nodegraph import resources
from nodegraph.runtime import Options, Runtime
from nodegraph.workers.channel import Channel
from nodegraph.workers.redact import Redactor

Json = Any


def open_runtime(config: Mapping[str, Any], channel: Channel) -> Runtime:
    """Return a runtime with its plugins loaded; the server is told of each before its import."""
    data, folders = Path(config["data"]), config["folders"]
    options = Options(
        models=tuple(map(Path, config["models"])),
        folders=folders and {kind: tuple(map(Path, paths)) for kind, paths in folders.items()},
        input=tuple(map(Path, config["input"])),
        output=data / "output",
        data=data,
        device=config["device"],
        dtype=config["dtype"],
        memory=config["memory"],
        network_memory=config["network_memory"],
        compile=config["compile"],
        disk=config["disk"],
        metadata=config["metadata"],
        strict=config["strict"],
        explain=False,  # nobody asks a server why, and what it would write after each job grows with the jobs
        plugins=config["plugins"],
        skip_plugins=config["skip"],
    )
    runtime = Runtime(options, importing=lambda name: channel.tell("importing", plugin=name))
    _ = runtime.plugins
    channel.tell("importing", plugin=None)
    return runtime


def input_folders(given: Sequence[str]) -> list[Path]:
    """Return the folders that a job's pictures are looked for in; those that ship with nodegraph come last."""
    folders = [Path(folder) for folder in given]
    bundled = resources.workflows()
    return folders if bundled in folders else [*folders, bundled]


def redactor(config: Mapping[str, Any]) -> Redactor:
    """Return what takes paths and secrets out of texts for users."""
    data = Path(config["data"])
    by_kind = {f"models/{kind}": list(map(Path, paths)) for kind, paths in (config["folders"] or {}).items()}
    known: dict[str, list[Path]] = {
        **by_kind,
        "models": [*map(Path, config["models"]), Path.cwd() / "models", resources.models()],
        "input": [*map(Path, config["input"]), data / "input", Path.cwd() / "input", resources.workflows()],
        "output": [data / "output"],
        "temp": [data / "temp"],
        "data": [data],
    }
    return Redactor(known, os.environ)


def versions() -> dict[str, str]:
    """Return the versions of what results depend on."""
    found = {"python": platform.python_version()}
    for package in ("nodegraph", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
