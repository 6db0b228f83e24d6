"""What a person sees while a workflow runs: a live display on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TextIO

from nodegraph.cli.interrupts import CANCELLING
from nodegraph.cli.tally import Tally, Work
from nodegraph.cli.text import duration, rate, size
from nodegraph.engine import events
from nodegraph.engine.context import CancelToken

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WORTH_A_LINE = 0.5
"""Seconds; nodes that took less are not told of one by one."""
PAUSE = 10.0
"""Seconds between lines about a node at work."""
BYTES = "bytes"
"""The message of a node that counts bytes, not steps."""
ROWS = 8
"""Nodes at work that are shown at a time."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows a run from its events; lasts as long as its `with` block."""

    tally: Tally
    drawn: bool
    """Whether it redraws itself, so that nobody else may write to its terminal."""

    def show(self, event: events.Event) -> None:
        """Take in what happens."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else while a block runs."""


def named(work: Work) -> str:
    """Return a node and its type, as one says it."""
    return f"{work.node} ({work.type})" if work.type and work.type != work.node else work.node


def steps(work: Work, now: float) -> str:
    """Return how far a node at work has come: `step 5/20, 3.4 it/s, 4.4 s left`, or bytes if it counts these."""
    fast, left = work.rate(now), work.left(now)
    if work.message == BYTES:
        parts = [f"{size(work.value)} of {size(work.total)}", f"{size(fast)}/s" if fast else ""]
    else:
        step = f"step {_count(work.value)}/{_count(work.total)}" if work.total else ""
        parts = [work.message, step, rate(fast)]
    parts.append(f"{duration(left)} left" if left else "")
    return ", ".join(part for part in parts if part)


def _count(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


class Lines:
    """Writes a line when something took long, is taking long, or went wrong: for logs, pipes and simple terminals."""

    drawn = False

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.tally, self._stream = Tally(clock), stream
        self._last = self.tally.started

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.flush()

    def show(self, event: events.Event) -> None:
        """Write a line if the event is worth one."""
        work, now = self.tally.add(event), self.tally.clock()
        if work is None:
            return
        took = now - work.started
        if isinstance(event, events.Finished) and took >= WORTH_A_LINE:
            self._write(f"{named(work)}: done in {duration(took)}", now)
        elif isinstance(event, events.Failed):
            self._write(f"{named(work)}: failed after {duration(took)}", now)
        elif isinstance(event, events.Warned):
            self._write(f"{named(work)}: warning: {event.message}", now)
        elif isinstance(event, events.Progress) and now - self._last >= PAUSE:
            self._write(f"{named(work)}: {steps(work, now)}", now)

    def paused(self) -> AbstractContextManager[None]:
        """Do nothing: lines stand where they are."""
        return nullcontext()

    def _write(self, line: str, now: float) -> None:
        self._last = now
        done = f"{self.tally.done}/{self.tally.total}"
        self._stream.write(f"[{duration(self.tally.seconds)}, node {done}] {line}\n")
        self._stream.flush()


class Silent:
    """Counts, and shows nothing: for when a program reads the events."""

    drawn = False

    def __init__(self) -> None:
        self.tally = Tally()

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, event: events.Event) -> None:
        """Take in what happens."""
        self.tally.add(event)

    def paused(self) -> AbstractContextManager[None]:
        """Do nothing: nothing is shown."""
        return nullcontext()


class Live:
    """Redraws the nodes at work at the bottom of a terminal; what took long, or went wrong, scrolls by above."""

    drawn = True

    def __init__(
        self, console: Console, cancel: CancelToken | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.live import Live as Screen

        self.tally, self._console, self._cancel = Tally(clock), console, cancel or CancelToken()
        self._screen = Screen(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=10,
            transient=True,
        )

    def __enter__(self) -> Live:
        self._screen.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.__exit__(None, None, None)

    def show(self, event: events.Event) -> None:
        """Count the event; the display redraws itself by the clock."""
        work = self.tally.add(event)
        if work is None:
            return
        took = self.tally.clock() - work.started
        if isinstance(event, events.Failed):
            self._print("[red]failed[/]", work, took)
        elif isinstance(event, events.Warned):
            self._print("[yellow]warns [/]", work, took, event.message)
        elif isinstance(event, events.Finished) and took >= WORTH_A_LINE:
            self._print("[green]done  [/]", work, took)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the display off the terminal while the block runs."""
        self._screen.stop()
        try:
            yield
        finally:
            self._screen.start()

    def _print(self, word: str, work: Work, took: float, message: str = "") -> None:
        from rich.markup import escape

        text = f"{word} {escape(work.node)} [dim]{escape(work.type)}[/]  {escape(message) or duration(took)}"
        self._console.print(text, highlight=False, no_wrap=not message, overflow="fold" if message else "ellipsis")

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        now, tally = self.tally.clock(), self.tally
        table = Table.grid(padding=(0, 2), expand=False)
        for _ in range(3):
            table.add_column(no_wrap=True, overflow="ellipsis")
        for work in list(tally.at_work.values())[:ROWS]:
            known = work.total > 0
            bar = ProgressBar(
                total=work.total if known else None, completed=work.value, width=24, pulse=not known, animation_time=now
            )
            told = steps(work, now) or duration(now - work.started)
            table.add_row(_label(work), bar, told)
        everything = ProgressBar(total=max(tally.total, 1), completed=tally.done, width=24)
        nodes = f"{tally.done} of {tally.total} nodes" if tally.known else "starting"
        told = f"{nodes}, {duration(tally.seconds)}"
        table.add_row("all", everything, told)
        return Group(table, CANCELLING) if self._cancel.cancelled else table


def _label(work: Work) -> RenderableType:
    from rich.text import Text

    return Text.assemble((work.node, "bold"), " ", (work.type if work.type != work.node else "", "dim"))


def display(events_asked: bool, cancel: CancelToken) -> Display:
    """Return the display that fits: none beside events, live on a terminal, lines elsewhere."""
    if events_asked:
        return Silent()
    if not sys.stderr.isatty():
        return Lines(sys.stderr)
    from rich.console import Console

    console = Console(stderr=True)
    return Live(console, cancel) if console.is_terminal and not console.is_dumb_terminal else Lines(sys.stderr)
