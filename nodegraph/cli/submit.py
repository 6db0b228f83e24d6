"""`nodegraph submit`: run a workflow on a server, show how far it is, and fetch what it made."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli import files
from nodegraph.cli.connection import open_client, refusals
from nodegraph.cli.displays import Display, display
from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.interrupts import cancelling
from nodegraph.cli.output import Results
from nodegraph.cli.questions import Person
from nodegraph.cli.remote_events import engine_event
from nodegraph.cli.text import among, duration, several
from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import Cancelled, Waiting, WorkflowError
from nodegraph.engine.questions import Question

if TYPE_CHECKING:
    from nodegraph.client import Client
    from nodegraph.remote import Job, Output, Update

Json = Any
CODES = {"done": Exit.DONE, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED, "waiting": Exit.WAITING}


def main(options: argparse.Namespace) -> Exit:
    """Submit a workflow and, unless that is not wanted, follow it to its end."""
    document, inputs = _workflow(options)
    with refusals():
        return asyncio.run(_submit(options, document, inputs))


def _workflow(options: argparse.Namespace) -> tuple[Mapping[str, Json], dict[str, Json]]:
    """Return the document and the values of its inputs; only values that are set need it to be understood here."""
    if not options.values and options.seed is None:
        try:
            data = sys.stdin.buffer.read() if options.file == files.STDIN else Path(options.file).read_bytes()
            document = json.loads(data)
        except FileNotFoundError as error:
            raise CommandError(f"{options.file}: no such file") from error
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{options.file}: no JSON: {error}", Exit.INVALID) from error
        if not isinstance(document, dict):
            raise CommandError(f"{options.file}: got {type(document).__name__}, expected a workflow", Exit.INVALID)
        return document, {}
    from nodegraph.cli.assign import assign

    runtime = files.open_runtime(options)
    try:
        workflow = files.read(options, runtime)
        workflow, inputs = assign(workflow, runtime.registry, options.values, options.seed)
        if workflow.problems:
            raise WorkflowError(workflow.problems)
        return workflow.dump(), inputs
    except WorkflowError as error:
        raise files.problems(error, options.file, runtime) from error


async def _submit(options: argparse.Namespace, document: Mapping[str, Json], inputs: Mapping[str, Json]) -> Exit:
    results = Results(sys.stdout)
    name = options.name or ("" if options.file == files.STDIN else Path(options.file).stem)
    async with open_client(options) as client:
        job = await client.submit(
            document, inputs=inputs, name=name, priority=options.priority, client="nodegraph submit"
        )
        if not options.wait:
            results.line(job.id)
            return Exit.DONE
        job = await _followed(client, job, options)
        paths = [await _place(client, output, job, options) for output in job.outputs if output.kind == "output"]
    if options.json:
        results.json({**asdict(job), "files": paths})
    else:
        _write(job, paths, results)
    _tell(job, sys.stderr.write)
    return CODES[job.state.value]


async def _followed(client: Client, job: Job, options: argparse.Namespace) -> Job:
    """Follow a job to its end, answering what it asks; return it as it is when nobody can."""
    from nodegraph.client import ENDED
    from nodegraph.server.records import State

    token, loop = CancelToken(), asyncio.get_running_loop()
    screen = display(options.json, token)
    terminal = options.file != files.STDIN and not options.json and sys.stdin.isatty() and sys.stderr.isatty()
    person = Person(options.answers, screen, token, terminal=terminal)
    sys.stderr.write(f"job {job.id}{_ahead(job)}\n")
    screen.tally.expected = job.nodes
    with cancelling(token, announce=not screen.drawn), screen:
        stop = asyncio.create_task(_cancel_on(client, job.id, token, loop))
        try:
            if job.state is State.QUEUED:
                sys.stderr.write(_held(await client.queue()))
            while True:
                job = await client.wait(job.id, until={*ENDED, State.WAITING}, on_update=_shown(screen))
                if job.state is not State.WAITING:
                    return job
                answers = _answers(job, person)
                if token.cancelled:
                    await stop
                elif not answers:
                    return job
                else:
                    job = await client.answer(job.id, answers)
        finally:
            stop.cancel()
            await asyncio.gather(stop, return_exceptions=True)


async def _cancel_on(client: Client, id: str, token: CancelToken, loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the job when the token is, which signals see to; raise `ClientError`, having said so, where that fails."""
    from nodegraph.remote import ClientError

    asked = asyncio.Event()
    forget = token.listen(lambda: loop.call_soon_threadsafe(asked.set))
    try:
        await asked.wait()
        await client.cancel(id)
    except ClientError as error:
        sys.stderr.write(f"the job goes on, it was not cancelled: {error}; 'nodegraph jobs cancel {id}' tries again\n")
        raise
    finally:
        forget()


def _ahead(job: Job) -> str:
    """Return what a job has before it, as one says it."""
    left = "" if job.left is None else f", about {duration(job.left)} in all"
    return f", {several(job.place, 'job')} before it{left}" if job.place else left


def _held(queue: Json) -> str:
    """Return a line that tells why no job is begun, if that is so."""
    reason = f" ({queue['reason']})" if queue["reason"] else ""
    return f"the queue is paused{reason}: the job waits until an admin resumes it\n" if queue["paused"] else ""


def _shown(screen: Display) -> Any:
    def show(update: Update) -> None:
        event = engine_event(update)
        if event is not None:
            screen.show(event)

    return show


def _answers(job: Job, person: Person) -> dict[str, Json]:
    """Return the answers to a job's questions; those that nobody can give are left out."""
    found: dict[str, Json] = {}
    for asked in job.questions:
        try:
            found[asked.node] = person(Question(asked.node, asked.question, asked.choices))
        except Waiting:
            continue
        except Cancelled:  # Ctrl-C: the token says so
            return {}
    return found


async def _place(client: Client, output: Output, job: Job, options: argparse.Namespace) -> str:
    """Return where an output is: fetched, or on this machine already, or its address."""
    if options.output is not None:
        return str(await client.download(output, options.output))
    if options.server is None:
        from nodegraph.machine import user_data

        data = options.data or user_data()
        root = data / "output" if job.user == "owner" else data / "users" / job.user / "output"
        if (root / output.name).is_file():
            return str(root / output.name)
    return f"{client.url}{output.url}"


def _write(job: Job, paths: list[str], results: Results) -> None:
    for path in paths:
        results.line(path)
    for name, value in job.values.items():
        results.line(f"{name} = {json.dumps(value, ensure_ascii=False)}")


def _tell(job: Job, write: Any) -> None:
    """Write what failed or is asked, and what the job came to."""
    if job.failure is not None:
        where = f"node {job.failure.node!r} ({job.failure.type}): " if job.failure.node else ""
        write(f"{where}{job.failure.message}\n")
    for asked in job.questions if job.state.value == "waiting" else ():
        write(f"{asked.node} asks: {asked.question}{among(asked.choices)}; ")
        write(f"answer with 'nodegraph jobs answer {job.id} {asked.node}=...'\n")
    ran = [node for node in job.node_states if node.state == "finished"]
    reused = [node for node in job.node_states if node.state == "cached"]
    parts = [f"{several(len(ran), 'node')} ran", f"{len(reused)} reused", several(len(job.outputs), "file")]
    head = "waiting for an answer" if job.state.value == "waiting" else f"{job.state.value} in {duration(job.seconds)}"
    write(f"{head}: {'; '.join(parts)}\n")
