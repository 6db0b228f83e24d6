"""`nodegraph info`: what a checkpoint is, from its header alone."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.output import write_json, write_line
from nodegraph.cli.text import number, size
from nodegraph.engine.folders import FolderError

if TYPE_CHECKING:
    from nodegraph.diffusion.weights.describe import CheckpointInfo, PartInfo
    from nodegraph.runtime import Runtime


def main(options: argparse.Namespace) -> Exit:
    """Tell what a checkpoint is."""
    from nodegraph.diffusion.weights.describe import describe
    from nodegraph.diffusion.weights.errors import WeightsError

    runtime = open_runtime(options)
    _ = runtime.plugins  # they may know further families
    try:
        info = describe(_find(options.file, runtime))
    except WeightsError as error:
        raise CommandError(str(error)) from error
    if options.json:
        write_json({**asdict(info), "path": str(info.path)})
        return Exit.DONE
    for line in _lines(info):
        write_line(line)
    return Exit.DONE


def _find(file: str, runtime: Runtime) -> Path:
    """Return the file or folder of that path, else the checkpoint of that name."""
    path = Path(file)
    if path.exists():
        return path
    try:
        return runtime.folders.path("checkpoints", file)
    except FolderError as error:
        near = f" (did you mean {error.nearest!r}?)" if error.nearest else ""
        raise CommandError(f"{file}: no such file, nor a checkpoint of that name{near}") from error


def _lines(info: CheckpointInfo) -> list[str]:
    rows = [("PART", "PARAMETERS", "SIZE", "PRECISION", "TENSORS"), *map(_row, info.parts)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    schedule = type(info.schedule).__name__.removesuffix("Schedule").lower()
    return [
        str(info.path),
        f"family      {info.title} ({info.family}), {'diffusers folder' if info.folder else 'single file'}",
        f"precision   {info.precision}",
        f"parameters  {number(info.parameters)}, {size(info.size)}",
        f"predicts    {info.prediction}, {schedule} schedule",
        f"missing     {', '.join(info.missing) or 'nothing'}",
        "",
        *table,
    ]


def _row(part: PartInfo) -> tuple[str, ...]:
    return (part.title, number(part.parameters), size(part.size), part.precision, str(part.tensors))
