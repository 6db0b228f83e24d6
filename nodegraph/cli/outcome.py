"""What came of a run, told: files and values to stdout, the rest to stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from nodegraph.cli.output import Results, plain
from nodegraph.cli.text import duration, several, size
from nodegraph.engine.spec import Json

if TYPE_CHECKING:
    from nodegraph.engine.questions import Question
    from nodegraph.engine.result import Result
    from nodegraph.outputs import Outputs

SHOWN = 12
"""Nodes named in a line before the rest is counted."""
LONGEST = 1000
"""Characters of an output's value that are shown."""


def write_results(outputs: Outputs, results: Results) -> None:
    """Write the files' paths, and what the workflow exposes by name where it is data, a line each."""
    for path in outputs.files:
        results.line(str(path))
    for name, value in outputs.result.outputs.items():
        shown = _shown(value)
        if shown is not None:
            results.line(f"{name} = {shown}")


def _shown(value: object) -> str | None:
    """Return data as JSON, cut where it is long; None for anything else, such as a picture."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def as_json(outputs: Outputs) -> Json:
    """Return what came of a run as the last of its JSON lines."""
    result = outputs.result
    return {
        "event": "result",
        "ok": result.ok,
        "cancelled": result.cancelled,
        "files": [str(path) for path in outputs.files],
        "outputs": {name: plain(value) for name, value in result.outputs.items()},
        "failures": {node: str(error) for node, error in result.failures.items()},
        "skipped": dict(result.skipped),
        "warnings": {node: list(told) for node, told in result.warnings.items()},
        "waiting": [
            {"node": asked.node, "question": asked.question, "choices": list(asked.choices)}
            for asked in result.waiting.values()
        ],
        "reused": list(result.reused),
        "timings": dict(result.timings),
        "seconds": result.seconds,
        "peak_memory": dict(outputs.peak_memory),
    }


def tell(outputs: Outputs, seconds: float, stream: TextIO, left_out: Sequence[str] = ()) -> None:
    """Write what failed and why, what else went on, the time that all of it took, and peak memory."""
    result = outputs.result
    for error in result.failures.values():
        stream.write(f"{error}\n")
    for asked in result.waiting.values():
        stream.write(f"{question_line(asked)}\n")
    word = "cancelled" if result.cancelled else "failed" if result.failures else "waiting" if result.waiting else "done"
    word = f"{word} after" if word == "waiting" else f"{word} in"
    stream.write(f"{word} {duration(seconds)}: {'; '.join(_counts(outputs, result, left_out))}\n")


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def question_line(asked: Question) -> str:
    """Return what a node asks, and how to answer it on the command line."""
    example = json.dumps(asked.choices[0] if asked.choices else "...", ensure_ascii=False)
    among = " or ".join(json.dumps(choice, ensure_ascii=False) for choice in asked.choices[:SHOWN])
    return (
        f"{asked.node} asks: {asked.question}{f' ({among})' if among else ''}; answer --answer {asked.node}={example}"
    )


def _counts(outputs: Outputs, result: Result, left_out: Sequence[str]) -> list[str]:
    ran = len(result.timings.keys() - result.failures.keys())
    parts = [f"{several(ran, 'node')} ran" if ran else "no node ran"]
    if result.failures:
        parts.append(f"{len(result.failures)} failed")
    if result.waiting:
        parts.append(f"{len(result.waiting)} waiting for an answer")
    if result.skipped:
        lacking = "failed" if result.failures else "waits"
        parts.append(f"{len(result.skipped)} could not run for want of what {lacking} ({_named(list(result.skipped))})")
    if result.reused:
        parts.append(f"{len(result.reused)} reused")
    if left_out:
        parts.append(f"{len(left_out)} left out, muted or bypassed ({_named(left_out)})")
    if outputs.files:
        parts.append(f"{several(len(outputs.files), 'file')} saved")
    peak = [f"{size(count)} ({device})" for device, count in outputs.peak_memory.items() if count]
    return [*parts, *(["peak memory " + ", ".join(peak)] if peak else [])]
