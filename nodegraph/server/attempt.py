"""One run of a job on a worker: begun, followed, stopped where that is asked, ended one way and no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from nodegraph.server.children import Child, ChildError, ChildGone
from nodegraph.server.estimates import Estimates
from nodegraph.server.files.paths import user_folder
from nodegraph.server.hub import Hub
from nodegraph.server.live import NodeView, Progress, output_json, summary
from nodegraph.server.protocol import Header
from nodegraph.server.publishing import Publisher, PublishError, Staged
from nodegraph.server.records import MOST_ATTEMPTS, Failure, Job, NodeRun, Question, State
from nodegraph.server.settings import Settings
from nodegraph.server.store.errors import StoreBusyError, StoreError, StoreFullError
from nodegraph.server.store.store import Store
from nodegraph.server.workers import Worker

log = logging.getLogger(__name__)
T = TypeVar("T")
Json = Any
Why = Literal["cancelled", "timed_out", "stopping", "failed"]
"""Why a run is stopped; `failed`: what it wrote could not be published."""
RETRY_SECONDS = 2.0
"""Between two tries to store how a job ended, while the store takes nothing."""


@dataclass(frozen=True)
class Parts:
    """What attempts need of the queue; `on_full` is told when the disk is full."""

    settings: Settings
    store: Store
    hub: Hub
    publisher: Publisher
    estimates: Estimates
    on_full: Callable[[], None]


async def retried(write: Callable[[], Awaitable[T]], on_full: Callable[[], None]) -> T:
    """Write what must be written; waits while the disk is full or another process holds the store."""
    while True:
        try:
            return await write()
        except StoreFullError:
            on_full()
        except StoreBusyError as error:
            log.warning("%s", error)
        await asyncio.sleep(RETRY_SECONDS)


class Attempt:
    """One run of the job `id` on a worker."""

    def __init__(self, parts: Parts, id: str, user: str, worker: Worker) -> None:
        self._parts, self.id, self.user, self.worker = parts, id, user, worker
        self.why: Why | None = None
        """Why it was asked to stop, first asked first."""
        self.job: Job | None = None
        self.progress = Progress(None)
        self._failure: Failure | None = None
        self._staged: dict[str, list[Staged]] = {}
        self._child: Child | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._shown = False

    def stop(self, why: Why) -> None:
        """Ask it to stop; its worker is killed where it does not listen in time."""
        if self.why == "stopping" and why == "cancelled":
            self.why = why
        if self.why is not None:
            return
        self.why = why
        if self._child is not None:
            self._ask()

    def kill(self) -> None:
        """End it with its worker, at once."""
        self.worker.kill()

    async def run(self) -> Job | None:
        """Run the job; return it as it is then, None where it was not to be run any more.

        Raise `StoreFullError` where it could not even begin: it is still queued.
        """
        store = self._parts.store
        job = self.job = await store.claim(self.id, self.worker.device)
        if job is None:
            return None
        try:
            self.progress = Progress(await self._parts.estimates.expected(job.signature))
            self._tell(job, "running")
            ended = await self._attempt(job)
        except Exception as error:
            log.exception("job %s ended in an error of the server's own", job.id)
            self.worker.kill()  # it may still be at it
            failure = Failure(code="internal", message=f"the server made an error: {type(error).__name__}")
            ended = await self._store(lambda: store.finish(job.id, State.FAILED, failure=failure))
        finally:
            for timer in self._timers:
                timer.cancel()
        if ended is None:  # an earlier try had been written, though it was answered with an error
            ended = await store.job(job.id)
        if ended is not None and ended.state.final:
            self._parts.publisher.sweep_later(job.id)
        else:  # before another attempt may begin
            await self._parts.publisher.sweep(job.id)
        return ended

    def told(self, header: Header, payload: bytes) -> None:
        """Take in what the worker tells of this job."""
        kind, node = header.get("tell"), header.get("node")
        if kind == "event":
            self._event(header["event"])
        elif kind == "preview" and isinstance(node, str):
            hub = self._parts.hub
            hub.preview(self.user, self.id, node, header["media"], header["width"], header["height"], payload)
        elif kind == "file" and isinstance(node, str):
            files = self._staged.setdefault(node, [])
            names = ("file", "kind", "media", "width", "height")
            files.append(Staged(node=node, ordinal=len(files), **{name: header[name] for name in names}))
        elif kind == "retry" and isinstance(node, str):
            self._staged.pop(node, None)

    def show(self) -> None:
        """Let the worker make previews while anybody looks."""
        if self._child is not None:
            shown = self._parts.hub.watched(self.user, self.id)
            if shown != self._shown:
                self._shown = shown
                self._child.tell("previews", job=self.id, on=shown)

    async def _attempt(self, job: Job) -> Job | None:
        store, publisher, child = self._parts.store, self._parts.publisher, self.worker.child
        try:
            folders, document = await asyncio.gather(publisher.prepare(job), store.document(job.document))
        except PublishError as error:
            return await self._fail(Failure(code=error.code, message=error.message))
        except StoreError as error:
            return await self._fail(Failure(code="invalid", message=f"the workflow cannot be read: {error}"))
        if self.why is not None:
            return await self._stopped(None)
        if child is None:
            return await self._store(lambda: store.release(job.id, counted=False))
        self._child = child
        if job.timeout is not None:
            self._later(job.timeout, lambda: self.stop("timed_out"))
        self._shown = self._parts.hub.watched(self.user, self.id)
        inputs = [user_folder(self._parts.settings.data, job.user, "input"), *self._parts.settings.input]
        places = {"input": [str(path) for path in inputs], **{kind: str(path) for kind, path in folders.items()}}
        params = {
            "job": job.id,
            "user": job.user,
            "inputs": dict(job.inputs),
            "targets": list(job.targets),
            "answers": dict(job.answers),
            "folders": places,
            "previews": self._shown,
        }
        return await self._follow(job, child, params, document)

    async def _follow(self, job: Job, child: Child, params: Mapping[str, Json], document: bytes) -> Job | None:
        try:
            result, _ = await child.call("run", params, document)
        except ChildGone:
            await self._published()
            return await (self._stopped(None) if self.why else self._crashed(job, child))
        except ChildError as error:
            await self._published()
            failure = Failure(code=error.code, message=error.message, problems=error.problems)
            return await self._fail(failure)
        finally:
            self._child = None
        await self._published()
        return await self._ended(job, result)

    async def _ended(self, job: Job, result: Mapping[str, Json]) -> Job | None:
        """Store how the run ended by the worker's own account."""
        state, report = result["state"], _report(result)
        if self._failure is not None:
            return await self._fail(self._failure, result)
        if state == "cancelled" or (self.why is not None and state != "done"):
            return await self._stopped(result)  # nodes may make anything of a cancel
        if state == "waiting":
            questions = await self._questions(job, result["questions"])
            return await self._store(lambda: self._parts.store.wait(job.id, questions, report))
        if state == "done":
            ran = {node.node: node.seconds for node in report if node.state == "finished"}
            times = self._parts.estimates.remember(job.signature, ran, result["seconds"])
            ended, _ = await asyncio.gather(self._finish(State.DONE, None, result), times)
            return ended
        return await self._fail(_failure(result["failure"]), result)

    async def _stopped(self, result: Mapping[str, Json] | None) -> Job | None:
        """Store that the run was stopped: with the result of a worker that listened, without where it was killed."""
        if self.why == "stopping":
            return await self._store(lambda: self._parts.store.release(self.id, counted=False))
        if self.why == "timed_out":
            seconds = 0.0 if self.job is None else self.job.timeout or 0.0
            failure = Failure(
                code="timed_out", message=f"it ran for longer than its {seconds:g} seconds", node=self._at
            )
            return await self._fail(failure, result)
        if self.why == "failed" and self._failure is not None:
            return await self._fail(self._failure, result)
        return await self._finish(State.CANCELLED, None, result)

    async def _crashed(self, job: Job, child: Child) -> Job | None:
        """Store that the worker died: the job is run again, once."""
        end = f"it {child.exit.result().words}" if child.exit.done() else "it was gone"
        node = next((node for node in self.progress.nodes if node.state == "running"), None)
        where = "" if node is None else f" in the node {node.node} ({node.type})"
        message = f"its process died{where} in each of {MOST_ATTEMPTS} attempts; the last time {end}"
        failure = Failure(code="crashed_twice", message=message)
        if node is not None:
            failure = replace(failure, node=node.node, type=node.type)
        return await self._store(
            lambda: self._parts.store.release(job.id, counted=True, failure=failure, report=self._so_far())
        )

    async def _fail(self, failure: Failure, result: Mapping[str, Json] | None = None) -> Job | None:
        if failure.code == "disk_full":
            self._parts.on_full()
        return await self._finish(State.FAILED, failure, result)

    async def _finish(self, state: State, failure: Failure | None, result: Mapping[str, Json] | None) -> Job | None:
        found: Mapping[str, Json] = result or {}
        report = _report(found) if found else self._so_far()
        return await self._store(
            lambda: self._parts.store.finish(
                self.id,
                state,
                seconds=found.get("seconds", 0.0),
                memory=found.get("memory", {}),
                failure=failure,
                report=report,
                values=found.get("values", {}) if state is State.DONE else {},
            )
        )

    async def _store(self, write: Callable[[], Awaitable[T]]) -> T:
        return await retried(write, self._parts.on_full)

    async def _questions(self, job: Job, asked: Sequence[Mapping[str, Json]]) -> list[Question]:
        outputs = reversed((await self._parts.store.outputs(job.user, job=job.id, limit=500)).items)
        shown = [(output.node, output.id) for output in outputs]
        return [
            Question(
                node=node["node"],
                question=node["question"],
                choices=tuple(node["choices"]),
                # What the gate itself shows, else all that the job has written so far.
                outputs=tuple(id for at, id in shown if at == node["node"]) or tuple(id for _, id in shown),
            )
            for node in asked
        ]

    def _event(self, event: Mapping[str, Json]) -> None:
        node = self.progress.take(event)
        if node is None:
            return
        kind = event["event"]
        if kind == "running":
            self._staged.pop(node.node, None)
        elif kind in ("finished", "waiting"):  # what a gate shows is written before it asks
            files = self._staged.pop(node.node, [])
            self._publishing = asyncio.create_task(self._publish(node.node, files, self._publishing))
        if kind != "queued":
            data = {**_told(node), "progress": round(self.progress.value, 4)}
            self._parts.hub.publish(f"node.{kind}", data, user=self.user, job=self.id)

    async def _publish(self, node: str, files: Sequence[Staged], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        job = self.job
        if job is None or self._failure is not None or (not files and job.attempts == 1 and not job.answers):
            return
        try:
            added, removed = await self._parts.publisher.publish(job, node, files)
        except (PublishError, StoreError) as error:
            code = error.code if isinstance(error, PublishError) else "internal"
            self._failure = Failure(code=code, message=str(error), node=node)
            self.stop("failed")
            return
        for output in removed:
            self._parts.hub.publish("output.removed", output_json(output), user=self.user, job=self.id)
        for output in added:
            self._parts.hub.publish("output.added", output_json(output), user=self.user, job=self.id)

    async def _published(self) -> None:
        """Wait until what has finished is published."""
        last = None
        while (task := self._publishing) is not last and task is not None:  # what it raises must not go unseen
            await task
            last = task

    def _ask(self) -> None:
        if self._child is not None:
            self._child.tell("cancel", job=self.id)
            self._later(self._parts.settings.cancel_seconds, self._kill_deaf)

    def _kill_deaf(self) -> None:
        if self._child is not None:
            log.warning("worker %s does not heed the cancel of job %s: it is killed", self.worker.id, self.id)
            self.worker.kill()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, call))

    @property
    def _at(self) -> str | None:
        return next((node.node for node in self.progress.nodes if node.state == "running"), None)

    def _so_far(self) -> list[NodeRun]:
        """Return what became of the nodes, by what was told before the worker died."""
        nodes = (node for node in self.progress.nodes if node.state not in ("queued", "waiting"))
        return [_run_of(replace(node, state="cancelled") if node.state == "running" else node) for node in nodes]

    def _tell(self, job: Job, kind: str) -> None:
        self._parts.hub.publish(f"job.{kind}", summary(job), user=job.user, job=job.id)


def _told(node: NodeView) -> dict[str, Json]:
    told: dict[str, Json] = {"node": node.node, "type": node.type, "message": node.message}
    if node.state == "running":
        return told if node.total is None else {**told, "value": node.value, "total": node.total}
    return {**told, "seconds": node.seconds, "memory": dict(node.memory)}


def _run_of(node: NodeView) -> NodeRun:
    return NodeRun(
        node=node.node,
        type=node.type,
        state=node.state,
        seconds=node.seconds,
        memory=node.memory,
        message=node.message,
    )


def _report(result: Mapping[str, Json]) -> list[NodeRun]:
    return [NodeRun(**node) for node in result.get("nodes", ())]


def _failure(told: Mapping[str, Json] | None) -> Failure:
    if told is None:
        return Failure(code="internal", message="the worker does not tell why it failed")
    return Failure(**{**told, "problems": tuple(told.get("problems", ()))})
