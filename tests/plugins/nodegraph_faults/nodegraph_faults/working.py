"""Nodes that do as they are told, at the pace that they are told."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from nodegraph import Context, Multiline, node
from nodegraph.diffusion.filenames import NewFiles

if TYPE_CHECKING:
    from PIL.Image import Image

Seconds = Annotated[float, Field(ge=0, le=3600)]


@node("faults.Sleep", category="faults", cache=False)
def sleep(context: Context, seconds: Seconds = 0.1, steps: Annotated[int, Field(ge=1)] = 10, value: Any = None) -> Any:
    """Sleep in steps, telling of each; give the value, or the seconds where there is none. Runs each time."""
    context.progress(0, steps)
    for step in range(steps):
        time.sleep(seconds / steps)
        context.progress(step + 1, steps)
    return seconds if value is None else value


@node("faults.Work", category="faults")
def work(context: Context, seconds: Seconds = 0.05, value: int = 0, log: str = "") -> int:
    """Take a while to give the number; its result is kept. A line is added to the file `log` each time it runs."""
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{context.node}\n")
    context.progress(0, 1)
    time.sleep(seconds)
    context.progress(1, 1)
    return value


@node("faults.Add", category="faults")
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@node("faults.Text", category="faults")
def text(text: Annotated[str, Multiline()], seed: int = 0, width: int = 64) -> str:
    """Give the text; it has a seed and a size as a node that draws has."""
    return text


@node("faults.Say", category="faults", cache=False)
def say(text: str) -> str:
    """Print the text, and give it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return text


@node("faults.Start", category="faults", cache=False)
def start(marker: str, seconds: int = 60) -> int:
    """Start another process, which sleeps; write its id to the file `marker` and give it."""
    pid = subprocess.Popen(["sleep", str(seconds)]).pid
    Path(marker).write_text(str(pid), encoding="ascii")
    return pid


@node("faults.Large", category="faults", cache=False)
def large(length: Annotated[int, Field(ge=0)]) -> str:
    """Give a text of that length."""
    return "x" * length


@node("faults.Save", category="faults", output=True)
def save(
    context: Context,
    text: str = "",
    count: Annotated[int, Field(ge=0)] = 1,
    filename_prefix: str = "faults",
    size: Annotated[int, Field(ge=1, le=8192)] = 16,
    seconds: Seconds = 0.0,
    color: Annotated[int, Field(ge=0, le=255)] = 0,
) -> None:
    """Write PNG files of one colour, with a pause after each; `text` goes into them."""
    names = NewFiles(context.folders.roots("output")[0], filename_prefix, ".png", width=size, height=size)
    for index in range(count):
        context.check_cancelled()
        context.output(names.write(index, partial(_write, size=size, color=color, text=f"{text}#{index}")))
        context.progress(index + 1, count)
        time.sleep(seconds)


@node("faults.Preview", category="faults", cache=False)
def preview(context: Context, count: int = 5, seconds: Seconds = 0.1, size: int = 32) -> int:
    """Show as many pictures, evenly over the time."""
    for index in range(count):
        context.preview(_picture(size, index % 256))
        context.progress(index + 1, count)
        time.sleep(seconds / count)
    return count


@node("faults.Grow", category="faults", cache=False)
def grow(megabytes: Annotated[int, Field(ge=0)], keep: bool = False) -> int:
    """Take memory and write to it; `keep` leaks it."""
    block = bytearray(megabytes * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    if keep:
        _kept.append(block)
    return len(block)


@node("faults.Hoard", category="faults", cache=False)
def hoard(piece: Annotated[int, Field(ge=1)] = 16) -> int:
    """Take memory, so many megabytes at a time, until there is none."""
    pieces = []
    while True:
        pieces.append(bytearray(piece * 2**20))
        pieces[-1][::4096] = b"x" * len(pieces[-1][::4096])


@node("faults.Numbers", category="faults")
def numbers(count: Annotated[int, Field(ge=0)] = 3) -> list[int]:
    """Give the numbers from 0 on; they are kept."""
    return list(range(count))


@node("faults.Long", category="faults")
def long(length: Annotated[int, Field(ge=0)], seed: int = 0) -> str:
    """Give a text of that length, slowly enough that it is kept on disk."""
    time.sleep(0.03)
    return f"{seed} " + "x" * length


_kept: list[bytearray] = []


def _picture(size: int, color: int) -> Image:
    from PIL import Image

    return Image.new("RGB", (size, size), (color, color, color))


def _write(path: Path, size: int, color: int, text: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("faults", text)
    _picture(size, color).save(path, pnginfo=info)


NODES: list[Callable[..., Any]] = [sleep, work, add, text, say, start, large, save, preview, grow, hoard, numbers, long]
