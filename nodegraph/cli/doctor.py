"""`nodegraph doctor`: look for what is wrong with this installation and its data, and say what to do."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.output import write_json, write_line
from nodegraph.cli.serve import data_folder
from nodegraph.cli.server_access import running_server
from nodegraph.cli.text import size
from nodegraph.engine.errors import NodegraphError

if TYPE_CHECKING:
    from nodegraph.runtime import Runtime

PACKAGES = ("nodegraph", "torch", "aiohttp", "pydantic", "numpy", "pillow", "safetensors", "tokenizers")
LITTLE_ROOM = 2**30
STORE = "nodegraph.db"
State = Literal["good", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """What one look showed."""

    subject: str
    state: State
    message: str
    advice: str = ""


def main(options: argparse.Namespace) -> Exit:
    """Look at everything, tell, and fail where something is broken."""
    data = data_folder(options)
    runtime = open_runtime(options)
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": _python,
        "packages": _packages,
        "devices": _devices,
        "data": partial(_folder, data),
        "server": partial(_server, data, options.port),
        "store": partial(_store, data),
        "plugins": partial(_plugins, runtime),
        "models": partial(_models, runtime),
    }
    findings = [finding for subject, look in looks.items() for finding in _safely(subject, look)]
    broken = any(finding.state == "broken" for finding in findings)
    if options.json:
        write_json({"broken": broken, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _write(finding)
    return Exit.FAILED if broken else Exit.DONE


def _write(finding: Finding) -> None:
    mark = {"good": "ok", "warning": "!!", "broken": "XX"}[finding.state]
    write_line(f"{mark}  {finding.subject:<10} {finding.message}")
    if finding.advice:
        write_line(f"    {'':<10} -> {finding.advice}")


def _safely(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Have a look that fails be a finding, so that the others are still told."""
    try:
        yield from look()
    except (OSError, NodegraphError, CommandError, ImportError) as error:
        yield Finding(subject, "broken", str(error))


def _python() -> Iterator[Finding]:
    yield Finding("python", "good", f"{platform.python_version()} at {sys.executable} on {platform.platform()}")


def _packages() -> Iterator[Finding]:
    found: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("packages", "broken", f"{name} is not installed", f"pip install {name}")
    yield Finding("packages", "good", ", ".join(found))


def _devices() -> Iterator[Finding]:
    import torch

    names = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    cpu = f"cpu ({os.cpu_count()} cores)"
    if not names and torch.version.cuda is not None:
        advice = "if there is one, look at its driver: nvidia-smi"
        yield Finding("devices", "warning", f"{cpu}; this torch is made for GPUs and finds none", advice)
    else:
        yield Finding("devices", "good", ", ".join([*names, cpu]))


def _folder(data: Path) -> Iterator[Finding]:
    if not data.exists():
        yield Finding("data", "good", f"{data} will be made when a server first runs")
        return
    if not data.is_dir() or not os.access(data, os.W_OK | os.X_OK):
        yield Finding(
            "data", "broken", f"{data} cannot be written to", "choose another with --data, or see to its owner"
        )
        return
    room = shutil.disk_usage(data).free
    if room < LITTLE_ROOM:
        advice = "outputs and results go there: make room, or choose another disk with --data"
        yield Finding("data", "warning", f"{data}, {size(room)} free", advice)
    else:
        yield Finding("data", "good", f"{data}, {size(room)} free")


def _server(data: Path, port: int) -> Iterator[Finding]:
    address = running_server(data)
    if address is not None:
        yield Finding("server", "good", f"runs as process {address.pid} at {address.url}")
        return
    yield Finding("server", "good", "none runs on this data folder")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            advice = f"nodegraph serve --port {port + 1 if port < 65535 else port - 1}"
            yield Finding("port", "warning", f"{port} is in use by another program", advice)
        else:
            yield Finding("port", "good", f"{port} is free")


def _store(data: Path) -> Iterator[Finding]:
    from nodegraph.server.store.opening import examine

    path = data / STORE
    if not path.exists():
        yield Finding("store", "good", "not made yet")
        return
    found = examine(path)
    if found.problems:
        advice = "it is put aside and a new one made when the server starts; copies of older ones are in backups/"
        yield Finding("store", "broken", f"damaged: {found.problems[0]}", advice)
    elif found.version > found.newest:
        told = f"of schema {found.version} (nodegraph {found.written_by}); this version knows up to {found.newest}"
        yield Finding("store", "broken", told, "use that version or a newer one, or another folder with --data")
    else:
        yield Finding("store", "good", f"sound, schema {found.version}, {size(path.stat().st_size)}")


def _plugins(runtime: Runtime) -> Iterator[Finding]:
    good = 0
    for plugin in runtime.plugins.report:
        if plugin.reason:
            advice = f"update or uninstall it, then look again ({plugin.package or 'no package'})"
            yield Finding("plugins", "warning", f"{plugin.name} is set aside: {plugin.reason}", advice)
        else:
            good += 1
    yield Finding("plugins", "good", f"{good} loaded, {len(runtime.registry)} node types")


def _models(runtime: Runtime) -> Iterator[Finding]:
    for root in runtime.options.models:
        if not root.is_dir():
            yield Finding("models", "warning", f"{root} is named as a folder of models and is not there")
    folders = runtime.folders
    counts = {kind: len(folders.names(kind)) for kind in folders.kinds if kind not in ("input", "output", "temp")}
    told = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items() if number)
    yield Finding("models", "good" if counts["checkpoints"] else "warning", told or "none found")
