"""`nodegraph jobs`: what the server has run, runs and is to run."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.cli.connection import open_client, refusals
from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.output import write_json, write_line, write_table
from nodegraph.cli.questions import meant
from nodegraph.cli.text import among, duration, size
from nodegraph.server.records import NodeRun, State

if TYPE_CHECKING:
    from nodegraph.client import Client
    from nodegraph.remote import Job

COLUMNS = ("job", "state", "created", "took", "name", "what")
STD = "-"


def main(options: argparse.Namespace) -> Exit:
    """Do what the action says."""
    with refusals():
        asyncio.run(_act(options))
    return Exit.DONE


async def _act(options: argparse.Namespace) -> None:
    async with open_client(options) as client:
        match options.action:
            case "list":
                await _list(client, options)
            case "show":
                await _show(client, options)
            case "answer":
                await _answer(client, options)
            case "export":
                await _export(client, options)
            case "import":
                await _import(client, options)
            case action:
                for id in options.jobs:
                    await _each(client, action, id, options)


async def _each(client: Client, action: str, id: str, options: argparse.Namespace) -> None:
    if action == "delete":
        await client.delete(id, outputs=options.outputs)
        write_line(f"{id}\tdeleted")
    else:
        job = await (client.cancel(id) if action == "cancel" else client.retry(id))
        write_line(f"{job.id}\t{job.state.value}")


async def _list(client: Client, options: argparse.Namespace) -> None:
    found: list[Job] = []
    async for job in client.jobs(states=[State(name) for name in options.state], text=options.text):
        found.append(job)
        if len(found) == options.limit:
            break
    if options.json:
        write_json([asdict(job) for job in found])
    else:
        write_table(COLUMNS, [_row(job) for job in found])


def _row(job: Job) -> tuple[str, ...]:
    what = "" if job.failure is None else job.failure.message
    what = "; ".join(asked.question for asked in job.questions) if job.state is State.WAITING else what
    return (job.id, job.state.value, _when(job.created), duration(job.seconds) if job.seconds else "", job.name, what)


def _node(run: NodeRun) -> str:
    spent = f", {duration(run.seconds)}" if run.state in ("finished", "failed") else ""
    return f"{run.node} ({run.type}): {run.state}{spent}{f'; {run.message}' if run.message else ''}"


def _when(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


async def _show(client: Client, options: argparse.Namespace) -> None:
    job = await client.job(options.job)
    if options.json:
        write_json(asdict(job))
        return
    facts = {
        "job": job.id,
        "name": job.name,
        "state": job.state.value,
        "created": _when(job.created),
        "started": _when(job.started),
        "ended": _when(job.ended),
        "took": duration(job.seconds) if job.seconds else "",
        "progress": f"{100 * job.progress:.0f} %" if job.state is State.RUNNING else "",
        "left": "" if job.left is None else duration(job.left),
        "before it": "" if job.place is None else str(job.place),
        "device": job.device or "",
        "attempts": str(job.attempts),
        "retry of": job.retry_of or "",
        "inputs": json.dumps(dict(job.inputs), ensure_ascii=False) if job.inputs else "",
        "failure": "" if job.failure is None else f"{job.failure.code}: {job.failure.message}",
    }
    rows = [(name, value) for name, value in facts.items() if value]
    rows += [("asks", f"{asked.node}: {asked.question}{among(asked.choices)}") for asked in job.questions]
    rows += [("node", _node(run)) for run in job.node_states]
    rows += [("output", f"{output.name}, {size(output.size)}, {client.url}{output.url}") for output in job.outputs]
    rows += [("value", f"{name} = {json.dumps(value, ensure_ascii=False)}") for name, value in job.values.items()]
    write_table(("what", "value"), rows)


async def _answer(client: Client, options: argparse.Namespace) -> None:
    job = await client.job(options.job)
    choices = {asked.node: asked.choices for asked in job.questions}
    answers = {node: meant(text, choices.get(node, ())) for node, text in options.answers}
    job = await client.answer(options.job, answers)
    write_line(f"{job.id}\t{job.state.value}")


async def _export(client: Client, options: argparse.Namespace) -> None:
    states = [State(name) for name in options.state]
    if options.file == STD:
        async for part in client.export_jobs(states=states):
            sys.stdout.buffer.write(part)
        return
    path = Path(options.file)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            async for part in client.export_jobs(states=states):
                file.write(part)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


async def _import(client: Client, options: argparse.Namespace) -> None:
    try:
        lines = sys.stdin.buffer.read() if options.file == STD else Path(options.file).read_bytes()
    except FileNotFoundError as error:
        raise CommandError(f"{options.file}: no such file") from error
    counts = await client.import_jobs(lines)
    meaning = {"history": "into the history", "queued": "queued", "skipped": "skipped: they are there already"}
    write_line(", ".join(f"{count} {meaning.get(name, name)}" for name, count in counts.items()))
