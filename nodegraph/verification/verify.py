"""Verification: pictures are made again from what they carry, and both are compared."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.engine.questions import Answers
from nodegraph.engine.spec import Json
from nodegraph.interop.embedded import EmbeddedError, read_embedded
from nodegraph.verification.making import Made, Maker
from nodegraph.verification.pixels import compare, read_pixels, write_difference
from nodegraph.verification.records import Record, compare_records, read_record
from nodegraph.verification.report import CannotVerifyError, Pixels, Report

if TYPE_CHECKING:
    from nodegraph.engine.context import CancelToken
    from nodegraph.engine.events import Event
    from nodegraph.outputs import Picture
    from nodegraph.runtime import Options
    from nodegraph.verification.pixels import Array

NO_RECORD = "it carries no record of nodegraph's: only pixels can be compared"


@dataclass(frozen=True)
class Wish:
    """How strictly pictures are compared, and where the new ones are kept.

    No channel may differ by more than `tolerance` of 255; with `strict` what differs in the records counts too. `keep`
    is the folder that the new pictures, and those of the differences, are put into.
    """

    tolerance: int = 0
    strict: bool = False
    keep: Path | None = None


@dataclass(frozen=True)
class _Old:
    """A picture that is to be made again."""

    path: Path
    workflow: Mapping[str, Json]
    record: Record | None

    @property
    def run(self) -> str:
        """Return what pictures of one run have in common."""
        record = None if self.record is None else replace(self.record, index=0, origin=None, nodes=())
        return json.dumps([self.workflow, repr(record)], sort_keys=True)


@dataclass(frozen=True)
class _Match:
    picture: Picture
    index: int
    saved: int
    pixels: Pixels
    note: str = ""


@dataclass
class Verifier:
    """Verifies pictures with what `options` say of folders, device and precision; `tell` gets what takes its time."""

    options: Options
    wish: Wish = field(default_factory=Wish)
    emit: Callable[[Event], None] | None = None
    cancel: CancelToken | None = None
    answers: Answers = field(default_factory=dict)
    tell: Callable[[str], object] = field(default=lambda message: None)

    def verify(self, paths: Sequence[Path]) -> Iterator[Report]:
        """Give a report for each picture; those of one run are made by one run. Nothing of the old is touched."""
        groups: dict[str, list[_Old]] = {}
        for path in paths:
            try:
                old = _read(path)
            except (CannotVerifyError, EmbeddedError) as error:
                yield Report(path, "cannot", str(error).removeprefix(f"{path}: "))
                continue
            groups.setdefault(old.run, []).append(old)
        with tempfile.TemporaryDirectory(prefix="nodegraph-verify-", ignore_cleanup_errors=True) as folder:
            maker = Maker(self.options, Path(folder), self.emit, self.cancel, self.answers, self.tell)
            for group in groups.values():
                yield from self._group(maker, group)

    def _group(self, maker: Maker, group: Sequence[_Old]) -> Iterator[Report]:
        first = group[0]
        savers = {old.record.saver for old in group if old.record is not None and old.record.saver is not None}
        try:
            made = maker.make(first.workflow, first.record, savers)
        except CannotVerifyError as error:
            yield from (Report(old.path, "cannot", str(error)) for old in group)
            return
        for old in group:
            try:
                yield self._compared(old, made)
            except (CannotVerifyError, EmbeddedError) as error:
                yield Report(old.path, "cannot", str(error).removeprefix(f"{old.path}: "))

    def _compared(self, old: _Old, made: Made) -> Report:
        then = read_pixels(old.path)
        match = _named(old.record, then, made) if old.record is not None else _nearest(then, made)
        notes = made.notes + ((NO_RECORD,) if old.record is None else ())
        if match is None:
            return Report(old.path, "differs", _gone(old.record, made), notes=notes)
        now = read_record(read_embedded(match.picture.path).record)
        differences = () if old.record is None or now is None else compare_records(old.record, now)
        alike = match.pixels.within(self.wish.tolerance) and not (self.wish.strict and differences)
        if old.record is not None and not match.pixels.same and not differences:
            notes += (_unexplained(old.record),)
        return Report(
            old.path,
            "same" if alike else "differs",
            node=match.picture.node,
            index=match.index,
            saved=match.saved,
            pixels=match.pixels,
            differences=differences,
            notes=notes + ((match.note,) if match.note else ()),
            kept=self._kept(old.path, match, then),
        )

    def _kept(self, old: Path, match: _Match, then: Array) -> tuple[Path, ...]:
        """Keep the new picture, and one of the differences where there are some that can be drawn."""
        if self.wish.keep is None:
            return ()
        self.wish.keep.mkdir(parents=True, exist_ok=True)
        new = match.picture.path
        kept = [
            _keep(self.wish.keep, f"{old.stem.rstrip('_')}_again", new.suffix, lambda path: shutil.copyfile(new, path))
        ]
        if match.pixels.differing:
            now = read_pixels(new)
            name = f"{old.stem.rstrip('_')}_difference"
            kept.append(_keep(self.wish.keep, name, ".png", lambda path: write_difference(path, then, now)))
        return tuple(kept)


def _read(path: Path) -> _Old:
    found = read_embedded(path)
    workflow = found.workflow or found.prompt
    if isinstance(workflow, Mapping):
        return _Old(path, workflow, read_record(found.record))
    if workflow is not None:
        raise CannotVerifyError("the workflow that it carries is no JSON object: the file is damaged")
    if found.editor is not None:
        raise CannotVerifyError("it carries a workflow of ComfyUI's editor alone, and not in the API form that is read")
    raise CannotVerifyError(
        "it carries no workflow: it was saved without metadata (--no-metadata), changed by another program, or made"
        " elsewhere"
    )


def _named(record: Record, then: Array, made: Made) -> _Match | None:
    """Return the new picture in the old one's place: of the same node, with the same number."""
    same = [picture for picture in made.pictures if picture.node == record.saver]
    if record.saver is None:
        return _nearest(then, made)
    if record.index >= len(same):
        return None
    picture = same[record.index]
    return _Match(picture, record.index, len(same), compare(then, read_pixels(picture.path)))


def _nearest(then: Array, made: Made) -> _Match | None:
    """Return the new picture that is most like an old one of which nobody knows its place."""
    best: _Match | None = None
    for place, picture in enumerate(made.pictures):
        index = sum(other.node == picture.node for other in made.pictures[:place])
        saved = sum(other.node == picture.node for other in made.pictures)
        match = _Match(picture, index, saved, compare(then, read_pixels(picture.path)))
        if best is None or _unlike(match) < _unlike(best):
            best = match
    if best is None or len(made.pictures) == 1:
        return best
    return replace(best, note=f"of the {len(made.pictures)} pictures of the run, the one most like it was compared")


def _unlike(match: _Match) -> tuple[bool, float]:
    return bool(match.pixels.other), match.pixels.mean


def _unexplained(record: Record) -> str:
    """Say what may be behind pixels that differ though nothing that is recorded does."""
    if record.device.get("device", "cpu").partition(":")[0] == "cpu":
        return "nothing that is recorded differs: the picture was changed since, or a node does not give the same twice"
    return (
        "nothing that is recorded differs: a GPU may add in another order each time, which shows in small differences"
    )


def _gone(record: Record | None, made: Made) -> str:
    if record is None or record.saver is None or not made.pictures:
        return "the run saved no picture"
    count = sum(picture.node == record.saver for picture in made.pictures)
    return f"it was picture {record.index + 1} of node {record.saver!r}; the run saved {count} there"


def _keep(folder: Path, stem: str, suffix: str, write: Callable[[Path], object]) -> Path:
    """Have `write` make a file of a name that is free; a file that is there is never written over."""
    number = 1
    while True:
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}_{number}{suffix}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
            continue
        write(path)
        return path
