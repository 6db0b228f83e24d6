"""What jobs write comes to its users: staged while a node runs, published when it has finished, exactly once.

An output is known by (job, node, ordinal). Its row is reserved with the name that it will have, its file linked there,
then the row is settled: what a crash leaves in between is told apart at the next start, and what a second attempt of
the job writes replaces what the first had published.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nodegraph.engine.errors import NodegraphError
from nodegraph.server import faults
from nodegraph.server.files.paths import user_folder
from nodegraph.server.placing import Names, is_placed, place_of, put, sync
from nodegraph.server.records import Job, Output
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store, StoreFullError

T = TypeVar("T")
log = logging.getLogger(__name__)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TEMP_SECONDS = 86400.0
"""How long previews are kept."""
KINDS = ("output", "temp")


class PublishError(NodegraphError):
    """Outputs that cannot be published, with the code and the words that the job fails with."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file that a node has written into its job's staging folder."""

    node: str
    ordinal: int
    file: str
    """Below the staging folder of its kind."""
    kind: str = "output"
    media: str = "application/octet-stream"
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    staged: Staged
    source: Path
    size: int
    row: Output


class Publisher:
    """Publishes the files of jobs below the folders of their users."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._names = Names()
        self._made: set[Path] = set()
        self._sweeps: set[asyncio.Task[None]] = set()

    def staging(self, job: str) -> Path:
        """Return the folder that a job's attempt writes to."""
        return self._settings.data / "staging" / job

    async def prepare(self, job: Job) -> dict[str, Path]:
        """Make an attempt's staging folders, empty, and return them by kind; raise `PublishError`."""
        try:
            return await asyncio.to_thread(self._prepare, job)
        except OSError as error:
            raise _failure(error) from error

    async def publish(self, job: Job, node: str, files: Sequence[Staged]) -> tuple[list[Output], list[Output]]:
        """Publish all files of a node that has finished, or none; raise `PublishError`.

        Return the outputs that are there now, and those of an earlier attempt that are not any more.
        """
        before = await self._store.outputs(job.user, job=job.id, node=node, limit=100_000)
        kept = {(staged.ordinal, staged.kind) for staged in files}
        gone = [output for output in before.items if (output.ordinal, output.kind) not in kept]
        names = {output.ordinal: output.name for output in before.items}
        items: list[_Item] = []
        try:
            await self.remove(gone)
            await self._reserve(job, files, names, items)
            await self._put(items)
            return await self._settle(items), gone
        except (OSError, ValueError) as error:
            await self._take_back(job.id, node, items)
            raise _failure(error) from error

    async def sweep(self, job: str) -> None:
        """Remove a job's staging folder."""
        await asyncio.to_thread(shutil.rmtree, self.staging(job), ignore_errors=True)

    def sweep_later(self, job: str) -> None:
        """Remove the staging folder of a job that is over, in the background."""
        task = asyncio.create_task(self.sweep(job))
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def stop(self) -> None:
        """Wait for what goes on in the background."""
        await asyncio.gather(*self._sweeps)

    async def remove(self, outputs: Collection[Output]) -> None:
        """Remove outputs with their files."""
        if not outputs:
            return
        await asyncio.to_thread(self._unlink, outputs)
        faults.point("publish.removed")
        await self._store.delete_outputs([output.id for output in outputs])

    async def recover(self) -> None:
        """Settle what was in its place when the process died, forget what was not, sweep all staging folders."""
        for output in await self._store.unsettled():
            path = await asyncio.to_thread(self._placed, output)
            if path is not None:
                await self._store.settle_output(
                    output.id, output.name, path.stat().st_size, output.width, output.height
                )
                continue
            job = await self._store.job(output.job)
            if job is None or job.state.final:
                await self._store.delete_outputs([output.id])
        await asyncio.to_thread(shutil.rmtree, self._settings.data / "staging", ignore_errors=True)

    async def remove_old(self) -> list[Output]:
        """Remove previews that have been kept long enough; return them. Those that a job asks about stay."""
        removed: list[Output] = []
        while True:
            long_ago = time.time() - TEMP_SECONDS
            page = await self._store.outputs(kind="temp", before=long_ago, ended=True, limit=500)
            if not page.items:
                return removed
            await self.remove(page.items)
            removed += page.items

    def _prepare(self, job: Job) -> dict[str, Path]:
        staging = self.staging(job.id)
        shutil.rmtree(staging, ignore_errors=True)
        for kind in KINDS:
            root = user_folder(self._settings.data, job.user, kind)
            if root not in self._made:  # one that vanishes later, such as a disk, is not made up for
                root.mkdir(parents=True, exist_ok=True)
                self._made.add(root)
            (staging / kind).mkdir(parents=True)
        return {kind: staging / kind for kind in KINDS}

    async def _reserve(self, job: Job, files: Sequence[Staged], names: Mapping[int, str], items: list[_Item]) -> None:
        sources = await asyncio.to_thread(lambda: [self._source(job, staged, names) for staged in files])
        faults.point("publish.reserve.before")
        wishes = [self._wish(job, staged, *source) for staged, source in zip(files, sources, strict=True)]
        rows = await _all(self._store.reserve_output(wish) for wish in wishes)
        for staged, (source, _, size), row in zip(files, sources, rows, strict=True):
            if isinstance(row, Output):
                items.append(_Item(staged, source, size, row))
        _raise(rows)
        faults.point("publish.reserve.after")

    def _source(self, job: Job, staged: Staged, names: Mapping[int, str]) -> tuple[Path, str, int]:
        """Return a staged file, synced, the name that it shall have if it is new, and its size."""
        if staged.kind not in KINDS:
            raise ValueError(f"a file of the kind {staged.kind!r}: expected one of {', '.join(KINDS)}")
        source = place_of(self.staging(job.id) / staged.kind, staged.file)
        if source.is_symlink() or not source.is_file():
            raise ValueError(f"{staged.file[:80]!r} is no file")
        root = user_folder(self._settings.data, job.user, staged.kind)
        name = names.get(staged.ordinal) or self._names.next(root, staged.file)
        sync(source)
        return source, name, source.stat().st_size

    def _wish(self, job: Job, staged: Staged, source: Path, name: str, size: int) -> Output:
        return Output(
            id="",
            seq=0,
            job=job.id,
            user=job.user,
            node=staged.node,
            ordinal=staged.ordinal,
            name=name,
            kind=staged.kind,
            media=staged.media,
            size=size,
            width=staged.width,
            height=staged.height,
            there=False,
        )

    async def _put(self, items: list[_Item]) -> None:
        folders: set[Path] = set()
        for index, item in enumerate(items):
            row = item.row
            root = user_folder(self._settings.data, row.user, row.kind)
            while True:
                try:
                    part = f".{row.id}.part"
                    path = await asyncio.to_thread(put, item.source, root, row.name, part, replace=row.there)
                    break
                except FileExistsError:
                    name = await asyncio.to_thread(self._names.next, root, row.name, taken=True)
                    row = await self._store.rename_output(row.id, name) or row
                    items[index] = _Item(item.staged, item.source, item.size, row)
            folders.add(path.parent)
        for folder in folders:
            await asyncio.to_thread(sync, folder)
        faults.point("publish.synced")

    async def _settle(self, items: Sequence[_Item]) -> list[Output]:
        settled = await _all(
            self._store.settle_output(
                item.row.id, item.row.name, item.size, item.staged.width, item.staged.height, item.staged.media
            )
            for item in items
        )
        _raise(settled)
        faults.point("publish.settled")
        return [output for output in settled if isinstance(output, Output)]

    async def _take_back(self, job: str, node: str, items: Sequence[_Item]) -> None:
        """Remove what was published of a node whose outputs are not all there; earlier attempts' stay as they are."""
        fresh = [item for item in items if not item.row.there]
        for item in fresh:
            path = place_of(user_folder(self._settings.data, item.row.user, item.row.kind), item.row.name)
            with suppress(OSError):
                if path.samefile(item.source):
                    path.unlink()
        # A write may have been done though it was answered with an error.
        left = [output.id for output in await self._store.unsettled() if (output.job, output.node) == (job, node)]
        try:
            await self._store.delete_outputs({*left, *(item.row.id for item in fresh)})
        except StoreFullError:
            log.warning("rows of outputs that were not published stay until the next start: the disk is full")

    def _unlink(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            with suppress(ValueError, FileNotFoundError, NotADirectoryError):
                place_of(user_folder(self._settings.data, output.user, output.kind), output.name).unlink()

    def _placed(self, output: Output) -> Path | None:
        root = user_folder(self._settings.data, output.user, output.kind)
        try:
            path = place_of(root, output.name)
        except ValueError:
            return None
        path.with_name(f".{output.id}.part").unlink(missing_ok=True)
        staged = [file for file in self.staging(output.job).rglob("*") if file.is_file()]
        return path if is_placed(path, output.size, staged) else None


async def _all(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    """Make the calls at once, so that the store commits them together; an error stands in its call's place."""
    return await asyncio.gather(*calls, return_exceptions=True)


def _raise(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _failure(error: Exception) -> PublishError:
    if isinstance(error, OSError) and error.errno in FULL:
        return PublishError("disk_full", "there is no room on the disk for what the job wrote")
    if isinstance(error, OSError):
        return PublishError("output_folder", f"the output folder cannot be written to: {error.strerror or 'no access'}")
    return PublishError("invalid_output", str(error))
