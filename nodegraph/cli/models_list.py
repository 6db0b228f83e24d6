"""`nodegraph models list`: what is there and what it is."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.folders import collection
from nodegraph.cli.output import plain, write_json, write_line, write_table
from nodegraph.cli.text import several, size
from nodegraph.engine.nearest import nearest
from nodegraph.machine import user_cache

if TYPE_CHECKING:
    from nodegraph.collection.listing import Entry, Listing, Tick
    from nodegraph.collection.setup import Collection

COLUMNS = ("KIND", "NAME", "WHAT", "FAMILY", "PRECISION", "SIZE", "SHA256", "NOTES")
WIDEST = 48
"""Characters that names are given before what follows is pushed to the right."""
SHORT = 10
"""Digits of a sha256 that a terminal shows; those by which sites that offer models call them."""


def main(options: argparse.Namespace) -> Exit:
    """List the files of models."""
    from nodegraph.collection.index import Index
    from nodegraph.collection.listing import Listing

    found = collection(options)
    kinds = _kinds(options.kind, found)
    _ = open_runtime(options).plugins  # they may know further families
    with Index(user_cache()) as index:
        listing = Listing(found.places, index, kinds)
        entries = list(listing.entries())
        if options.hash:
            with _progress() as tick:
                entries = [_hashed(entry, listing, tick) for entry in entries]
    if options.json:
        write_json(_as_json(entries, found, kinds))
    elif sys.stdout.isatty():
        for line in _grouped(entries):
            write_line(line)
    else:
        write_table(COLUMNS, map(_row, entries))
    if not options.json:
        _tell(entries, found, kinds)
    return Exit.DONE


def _kinds(asked: list[str] | None, found: Collection) -> set[str] | None:
    """Return the kinds that are asked for under their own names, None for all."""
    from nodegraph.collection.kinds import NAMES

    if asked is None:
        return None
    known = {**NAMES, **{place.kind: place.kind for place in found.places}}
    return {own_kind(kind, known) for kind in asked}


def own_kind(name: str, known: Mapping[str, str]) -> str:
    """Return a kind's own name, by one of those that it is known under."""
    if name not in known:
        near = nearest(name, known)
        hint = f" (did you mean {near!r}?)" if near else ""
        names = ", ".join(dict.fromkeys(known.values()))
        raise CommandError(f"--kind: there is no kind {name!r}{hint}; the kinds are {names}", Exit.USAGE)
    return known[name]


def _hashed(entry: Entry, listing: Listing, tick: Tick) -> Entry:
    return replace(entry, sha256=listing.hashed(entry, tick))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show on a terminal which file is being read, and how far that is."""
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        shown = ""

        def tick(name: str, done: int, total: int) -> None:
            nonlocal shown
            if name != shown:
                progress.reset(task)
                shown = name
            progress.update(task, description=name, completed=done, total=total)

        yield tick


def _grouped(entries: Sequence[Entry]) -> Iterator[str]:
    """Give the lines of a list for people: the files under their kinds, what there is to say of each below it."""
    width = min(max((len(entry.name) for entry in entries), default=0), WIDEST)
    for kind, members in groupby(entries, key=lambda entry: entry.kind):
        yield kind
        for entry in members:
            told = entry.identity
            what = _state(entry) if told is None else f"{told.title}, {told.precision}"
            known = f", {entry.sha256[:SHORT]}" if entry.sha256 else ""
            yield f"  {entry.name:<{width}}  {what}, {size(entry.size)}{known}"
            yield from (f"      {note}" for note in _notes(entry))


def _row(entry: Entry) -> tuple[str, ...]:
    told = entry.identity
    what = (_state(entry), "-", "-") if told is None else (told.what, told.family or "-", told.precision)
    return (entry.kind, entry.name, *what, size(entry.size), entry.sha256 or "-", "; ".join(_notes(entry)))


def _state(entry: Entry) -> str:
    """Return what to call a file of which it is not known what it is."""
    return "pickled" if entry.convertible else "damaged" if entry.problem else "-"


def _notes(entry: Entry) -> Iterator[str]:
    if entry.identity is not None and entry.identity.detail:
        yield entry.identity.detail
    if entry.misplaced and entry.identity is not None:
        yield f"belongs in {entry.identity.kind}"
    if entry.identity is not None and entry.identity.kind is not None and not entry.identity.loads:
        yield "this version has no use for it"
    if entry.convertible:
        command = f"nodegraph models convert {shlex.quote(str(entry.path))}"
        yield f"not read, as that could run code; '{command}' makes safetensors of it"
    elif entry.problem:
        yield " ".join(entry.problem.split())
    if entry.hidden_by is not None:
        yield f"hidden by {entry.hidden_by}"


def _as_json(entries: Sequence[Entry], found: Collection, kinds: set[str] | None) -> dict[str, object]:
    models = []
    for entry in entries:
        told = {name: plain(value) for name, value in asdict(entry).items()}
        models.append({**told, "misplaced": entry.misplaced})
    folders = [
        {"kind": place.kind, "path": str(place.path), "origin": place.origin, "there": place.path.is_dir()}
        for place in found.places
        if kinds is None or place.kind in kinds
    ]
    return {"models": models, "folders": folders, "config": plain(found.config)}


def _tell(entries: Sequence[Entry], found: Collection, kinds: set[str] | None) -> None:
    """Say on stderr how much there is, and where was looked where that is nothing."""
    for root in found.roots:
        if not root.is_dir():
            sys.stderr.write(f"{root}: no such folder, though it is named as one of models\n")
    if entries:
        bad = sum(1 for entry in entries if entry.problem and not entry.convertible)
        total = sum(entry.size for entry in entries)
        told = [f"{several(len(entries), 'file')}, {size(total)}"]
        told += [f"{bad} damaged"] * bool(bad)
        hidden = sum(1 for entry in entries if entry.hidden_by is not None)
        told += [f"{hidden} hidden by others of the same name"] * bool(hidden)
        sys.stderr.write(f"{'; '.join(told)}\n")
        return
    searched = [str(place.path) for place in found.places if kinds is None or place.kind in kinds]
    sys.stderr.write("no files found; searched were\n" + "".join(f"  {path}\n" for path in dict.fromkeys(searched)))
