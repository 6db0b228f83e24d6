"""Results on stdout: tables for people, plain columns for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from nodegraph.engine.spec import Json


class Results:
    """A stream of results, a line each; every line is whole and out at once, as a program may read along."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """Write a line; what the stream's encoding cannot say is escaped."""
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()

    def json(self, value: Json) -> None:
        """Write a JSON value in a line of ASCII, which any reader gets right."""
        self._stream.write(json.dumps(value) + "\n")
        self._stream.flush()


def write_line(text: str) -> None:
    """Write a line to stdout."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def write_json(value: Json) -> None:
    """Write a JSON value to stdout, spread out for people, in ASCII so that any reader gets it right."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to a terminal, or one line of tab-separated columns a row to anything else.

    Where the terminal is too narrow, the last column is folded.
    """
    if not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    last = len(columns) - 1
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index != last, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout).print(table)


def plain(value: object) -> Json:
    """Return a value as JSON, its text where there is no other form for it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)
