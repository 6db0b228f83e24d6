"""`nodegraph models convert`: safetensors of a pickled checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodegraph.cli.exits import Exit
from nodegraph.cli.output import write_line
from nodegraph.cli.text import several, size

if TYPE_CHECKING:
    from nodegraph.collection.convert import Converted

SHOWN = 5


def main(options: argparse.Namespace) -> Exit:
    """Convert a file, and tell where the new one is and what it holds."""
    from nodegraph.collection.convert import Bounds, convert, target_of

    target = target_of(options.file, options.output)
    bounds = Bounds(options.memory, options.timeout)
    with progress(f"converting {options.file.name}") as tell:
        done = convert(options.file, target, dtype=options.dtype, bounds=bounds, force=options.force, tell=tell)
    write_line(str(done.path))
    sys.stderr.write(f"{summary(done)}\n")
    return Exit.DONE


def summary(done: Converted) -> str:
    """Say what a conversion came to."""
    from nodegraph.collection.identify import identify
    from nodegraph.diffusion.weights.errors import WeightsError

    told = [f"{several(done.tensors, 'tensor')}, {size(done.size)}"]
    try:
        found = identify(done.path)
        told += [f"{found.title}, {found.precision}"]
    except WeightsError:
        pass
    if done.left_out:
        more = len(done.left_out) - SHOWN
        names = ", ".join(done.left_out[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        told += [f"left out as no weights: {names}"]
    return "; ".join(told)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many bytes of how many are done."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
