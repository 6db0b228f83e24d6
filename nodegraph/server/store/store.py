"""The store: everything that must outlive the process. Every method is safe to call from the event loop.

A write that has returned is on disk, and every read after it sees it; one that raised changed nothing. A caller that is
cancelled while it waits does not know which: the write goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from nodegraph.server.records import Batch, Failure, Job, NodeRun, Output, Question, State, Submission, User
from nodegraph.server.store import (
    accounts,
    adding,
    changes,
    estimates,
    outbox,
    outputs,
    queries,
    removal,
    transfer,
    upkeep,
)
from nodegraph.server.store.database import Connection, Database
from nodegraph.server.store.errors import StoreBusyError, StoreError, StoreFullError
from nodegraph.server.store.kinds import Examined, Expected, Imported, Page, Usage, Webhook
from nodegraph.server.store.opening import FILE, Opened, examine, open_file

__all__ = [
    "Expected",
    "Imported",
    "Page",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "Usage",
    "Webhook",
]

Json = Any
P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The durable store in a folder; `open` it, `close` it."""

    def __init__(self, database: Database, opened: Opened) -> None:
        self._database = database
        self.path = opened.path
        """Of its file, `nodegraph.db`."""
        self.notice: str | None = opened.notice
        """What happened at opening that the user must know, such as a damaged file put aside."""
        self.version: int = opened.version
        """Of its schema."""
        self.reordered = 0
        """How often a move had to renumber the jobs beside it: a mirror of the queue reads `pending()` again then."""
        self._document = ("", b"")
        """The workflow that was read last, by its name: the jobs of a batch have the same."""

    @classmethod
    async def open(cls, folder: Path, *, busy_seconds: float = 5.0) -> Store:
        """Open or make the store: migrated from an older version after a backup; put aside with a notice where it is
        damaged. Raise `StoreBusyError` where another process holds it for so long, `StoreError` where a newer version
        wrote it or the folder cannot be used.
        """
        opened = await asyncio.to_thread(open_file, folder / FILE, busy_seconds=busy_seconds)
        return cls(Database(opened.path, opened.connection, busy_seconds=busy_seconds), opened)

    @staticmethod
    async def examine(folder: Path) -> Examined:
        """Look at the store in a folder, also while a server uses it, and change nothing."""
        return await asyncio.to_thread(examine, folder / FILE)

    async def close(self) -> None:
        """Finish the writes under way and close the file; what is asked after that raises `StoreError`."""
        await self._database.close()

    # jobs
    async def add(self, user: str, submissions: Sequence[Submission], *, batch: str | None = None) -> list[Job]:
        """Queue jobs, all or none; a submission whose `key` the user has used before gives the job of then."""
        return await self._write(adding.add, user, submissions, batch)

    async def add_batch(
        self, user: str, name: str, submissions: Sequence[Submission], *, key: str | None = None
    ) -> tuple[Batch, list[Job]]:
        """Queue jobs as one batch, all or none; with a `key` used before, give the batch of then and its jobs."""
        return await self._write(adding.add_batch, user, name, submissions, key)

    async def by_key(self, user: str, key: str) -> Job | None:
        """Return the job that a user submitted with an idempotency key."""
        return await self._read(queries.by_key, user, key)

    async def job(self, id: str, user: str | None = None) -> Job | None:
        """Return a job; None where there is none, or none of this user."""
        return await self._read(queries.job, id, user)

    async def jobs(
        self,
        user: str | None = None,
        *,
        states: Collection[State] = (),
        batch: str | None = None,
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """List jobs, newest first (user None: everybody's). `text`: words that name, prompts, failure or id all hold.

        Raise `CursorError` for a cursor that no list gave out.
        """
        return await self._read(queries.jobs, user, states, batch, text, cursor, limit)

    async def document(self, sha256: str) -> bytes:
        """Return a workflow's text; raise `StoreError` where it is not there."""
        name, text = self._document
        if name != sha256:
            text = await self._read(queries.document, sha256)
            self._document = (sha256, text)
        return text

    async def report(self, id: str) -> tuple[NodeRun, ...]:
        """Return what became of the nodes of a job; nothing where that is not known."""
        return await self._read(queries.report, id)

    async def counts(self, user: str | None = None) -> Mapping[State, int]:
        """Return how many jobs are in each state, those with none left out."""
        return await self._read(queries.counts, user)

    async def pending(self) -> list[Job]:
        """Return all queued and waiting jobs in the order of their users' queues."""
        return await self._read(queries.pending)

    async def claim(self, id: str, device: str) -> Job | None:
        """Make a queued job running, attempts + 1; None where it is not queued any more."""
        return await self._write(changes.claim, id, device)

    async def release(
        self, id: str, *, counted: bool, failure: Failure | None = None, report: Sequence[NodeRun] = ()
    ) -> Job | None:
        """Put a running job back to its old place in the queue; `counted=False` takes the attempt back.

        A counted one whose attempts are used up has failed instead, with `failure` (None: `crashed_twice` in general
        words) and `report`. None where the job is not running.
        """
        return await self._write(changes.release, id, counted, failure, report)

    async def finish(
        self,
        id: str,
        state: State,
        *,
        seconds: float = 0.0,
        memory: Mapping[str, int] | None = None,
        failure: Failure | None = None,
        report: Sequence[NodeRun] = (),
        values: Mapping[str, Json] | None = None,
    ) -> Job | None:
        """Give a job its final state; None (nothing changed) where it has one already or is not there."""
        ending = changes.Ending(state, seconds, memory or {}, failure, report, values or {})
        return await self._write(changes.finish, id, ending)

    async def wait(self, id: str, questions: Sequence[Question], report: Sequence[NodeRun] = ()) -> Job | None:
        """Make a running job wait for answers; the attempt is taken back. None where it is not running."""
        return await self._write(changes.wait, id, questions, report)

    async def answer(self, id: str, answers: Mapping[str, Json]) -> Job | None:
        """Add answers to a waiting job and queue it as the first of its priority; None where it is not waiting."""
        return await self._write(changes.answer, id, answers)

    async def move(
        self,
        id: str,
        *,
        priority: int | None = None,
        before: str | None = None,
        after: str | None = None,
        end: str | None = None,
    ) -> Job | None:
        """Give a queued or waiting job another priority, or a place: before or after another job of its user (whose
        priority it takes), or at an end (`first`, `last`) of its priority. None where it or the other is not pending.
        """
        job, renumbered = await self._write(changes.move, id, priority, before, after, end)
        self.reordered += renumbered
        return job

    async def delete(self, ids: Collection[str]) -> list[Output]:
        """Remove those of the jobs that are final; return their outputs, which stay until `delete_outputs`."""
        return await self._write(removal.delete, ids)

    async def prune(
        self,
        *,
        keep: int | None = None,
        before: float | None = None,
        user: str | None = None,
        states: Collection[State] = (),
    ) -> tuple[int, list[Output]]:
        """Remove final jobs beyond the newest `keep` that ended before a time (None: any); return how many, and their
        outputs, which stay until `delete_outputs`.
        """
        count, freed = 0, list[Output]()
        while True:
            removed, some = await self._write(removal.prune, keep, before, user, states)
            count, freed = count + removed, [*freed, *some]
            if removed < removal.AT_ONCE:
                return count, freed

    async def recover(self) -> list[Job]:
        """Release what was running when the process died, counted; return the jobs that changed."""
        return await self._write(changes.recover)

    # batches
    async def batch(self, id: str, user: str | None = None) -> Batch | None:
        """Return a batch; None where there is none, or none of this user."""
        return await self._read(queries.batch, id, user)

    async def batch_by_key(self, user: str, key: str) -> str | None:
        """Return the id of the batch that a user submitted with an idempotency key."""
        return await self._read(queries.batch_by_key, user, key)

    async def batches(self, user: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Batch]:
        """List batches, newest first (user None: everybody's)."""
        return await self._read(queries.batches, user, cursor, limit)

    # outputs
    async def reserve_output(self, output: Output) -> Output:
        """Write down an output that is on its way; return the row of (job, node, ordinal) that is there already, if one
        is. `id`, `seq` and `created` are given out here.
        """
        return await self._write(outputs.reserve, output)

    async def settle_output(
        self,
        id: str,
        name: str,
        size: int = 0,
        width: int | None = None,
        height: int | None = None,
        media: str | None = None,
    ) -> Output | None:
        """Tell that an output is in its place; None where it is not known."""
        return await self._write(outputs.settle, id, name, size, width, height, media)

    async def rename_output(self, id: str, name: str) -> Output | None:
        """Give an output another name; None where it is not known."""
        return await self._write(outputs.rename, id, name)

    async def output(self, id: str, user: str | None = None) -> Output | None:
        """Return an output, there or on its way; None where there is none, or none of this user."""
        return await self._read(outputs.output, id, user)

    async def outputs(
        self,
        user: str | None = None,
        *,
        job: str | None = None,
        node: str | None = None,
        kind: str | None = None,
        before: float | None = None,
        cursor: str | None = None,
        limit: int = 50,
        ended: bool = False,
    ) -> Page[Output]:
        """List the outputs that are in their places, newest first (user None: everybody's; `before`: made before;
        `ended`: of jobs that have ended).
        """
        return await self._read(outputs.outputs, user, job, node, kind, before, cursor, limit, ended)

    async def unsettled(self) -> list[Output]:
        """Return the outputs that are on their way, oldest first."""
        return await self._read(outputs.unsettled)

    async def delete_outputs(self, ids: Collection[str]) -> int:
        """Forget outputs; return how many there were."""
        return await self._write(outputs.delete, ids)

    # estimates
    async def remember_times(self, signature: str, nodes: Mapping[str, float], total: float) -> None:
        """Note how many seconds a job of this signature took, in all and by node."""
        await self._write(estimates.remember, signature, nodes, total)

    async def expected_times(self, signature: str) -> Expected | None:
        """Return how long a job of this signature should take; None where none has run."""
        return await self._read(estimates.expected, signature)

    # settings
    async def get(self, key: str) -> Json:
        """Return a setting; None where it was never put."""
        return await self._read(upkeep.get, key)

    async def put(self, key: str, value: Json) -> None:
        """Keep a setting, any JSON value."""
        await self._write(upkeep.put, key, value)

    # users
    async def add_user(self, name: str, admin: bool = False, token_sha256: str | None = None) -> User:
        """Add a user; raise `AlreadyError` where the name is taken."""
        return await self._write(accounts.add_user, name, admin, token_sha256)

    async def users(self) -> list[User]:
        """Return all users by name."""
        return await self._read(accounts.users)

    async def user(self, name: str) -> User | None:
        """Return a user."""
        return await self._read(accounts.user, name)

    async def remove_user(self, name: str) -> bool:
        """Remove a user with sessions and codes, not jobs; tell whether there was one."""
        return await self._write(accounts.remove_user, name)

    async def set_token(self, name: str, token_sha256: str | None) -> bool:
        """Replace a user's token (None: no token works), end the sessions and forget the login codes; tell whether
        there is such a user.
        """
        return await self._write(accounts.set_token, name, token_sha256)

    async def by_token(self, sha256: str) -> User | None:
        """Return the user whose token this is."""
        return await self._read(accounts.by_token, sha256)

    async def add_session(self, sha256: str, user: str, expires: float) -> None:
        """Begin a session; those that have expired are removed on the way."""
        await self._write(accounts.add_session, sha256, user, expires)

    async def session(self, sha256: str) -> User | None:
        """Return whose session this is; None where it has expired or ended, or its user is gone."""
        return await self._read(accounts.session, sha256)

    async def end_session(self, sha256: str) -> bool:
        """End a session; tell whether there was one."""
        return await self._write(accounts.end_session, sha256)

    async def add_code(self, sha256: str, user: str, expires: float) -> None:
        """Keep a login code; those that have expired are removed on the way."""
        await self._write(accounts.add_code, sha256, user, expires)

    async def take_code(self, sha256: str, session: str, expires: float) -> User | None:
        """Use a login code up and begin a session, both or neither; return whose it was, None where it is unknown,
        used, expired or its user is gone.
        """
        return await self._write(accounts.take_code, sha256, session, expires)

    # webhooks
    async def due_webhooks(self, now: float, limit: int = 100) -> list[Webhook]:
        """Return the calls that are due, the longest due first."""
        return await self._read(outbox.due, now, limit)

    async def webhook_done(self, id: str) -> None:
        """Strike a call off: it got through, or is given up."""
        await self._write(outbox.done, id)

    async def webhook_failed(self, id: str, next_at: float) -> None:
        """Count a failed try and set when the next is due."""
        await self._write(outbox.failed, id, next_at)

    # export, import, upkeep
    async def export_jobs(
        self, user: str | None = None, states: Collection[State] = ()
    ) -> AsyncIterator[dict[str, Json]]:
        """Yield jobs oldest first with workflow, report and what they wrote, each as JSON."""
        after = 0
        while True:
            items, after = await self._read(transfer.export, user, states, after)
            if not items:
                return
            for item in items:
                yield item

    async def import_jobs(self, user: str, items: Sequence[Mapping[str, Json]]) -> Imported:
        """Take in exported jobs for a user, all or none: final ones become history, the others are queued.

        Raise `ImportedError` for an item that no export wrote. Webhooks and files are not taken over.
        """
        checked = await asyncio.to_thread(transfer.check, items)
        return await self._write(transfer.take_in, user, checked)

    async def usage(self) -> Usage:
        """Return how much there is of what."""
        return await self._read(upkeep.usage, self.path)

    async def integrity(self) -> list[str]:
        """Check the whole file; return what is wrong with it."""
        return await self._read(upkeep.integrity)

    async def backup(self, path: Path) -> None:
        """Write a copy of the store as it is now; `path` appears whole or not at all."""
        await self._read(upkeep.backup, path)

    async def _write(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(lambda connection: operation(connection, *args, **kwargs))

    async def _read(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(lambda connection: operation(connection, *args, **kwargs))
