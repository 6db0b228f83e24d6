"""Whether a node stops when it is asked to, and how it leaves things then."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from nodegraph.engine.errors import Cancelled
from nodegraph.engine.mutation import fingerprints
from nodegraph.testing.behaviour import plainly, refuse_changes, refuse_threads
from nodegraph.testing.bench import Bench, Called, Token
from nodegraph.testing.comparing import difference
from nodegraph.testing.errors import ContractError
from nodegraph.testing.surroundings import changed, left_behind, surroundings, threads

UNFINISHED: Final = (".tmp", ".part", ".partial")
"""Endings of files that are not whole yet."""


def cancel(bench: Bench) -> None:
    """Check that a node stops soon once it is asked to, lets `Cancelled` through, and leaves nothing behind."""
    plainly(bench)  # libraries are loaded by the first call
    plain = plainly(bench)
    looks = plain.token.looks
    if plain.longest > bench.case.deadline:
        raise ContractError(
            f"{bench.case}: it worked for {plain.longest:.1f} s without looking whether to go on: take a "
            "`context: Context` and call context.check_cancelled() between steps"
        )
    if looks == 0:
        return
    for at in sorted({1, (looks + 1) // 2, looks}):
        _cancelled_at(bench, at, looks)
    again = plainly(bench)
    if bench.spec.cache and difference(plain.result, again.result) is not None:
        raise ContractError(f"{bench.case}: after a call that was cancelled it gives another result than before")


def _cancelled_at(bench: Bench, at: int, looks: int) -> None:
    """Cancel when the node looks for the `at`th time whether to go on."""
    inputs, token = bench.inputs(), Token(at)
    before, around, running, files = fingerprints(inputs), surroundings(), threads(), left_behind(bench.base, [])
    called = _stopped(bench, token)
    late = time.perf_counter() - token.when[at - 1] if len(token.when) >= at else 0.0
    if called is not None and token.told and at < looks:
        raise ContractError(
            f"{bench.case}: it was told to stop at its look {at} of {looks} and went on to its end: "
            "do not catch Cancelled"
        )
    if late > bench.case.deadline:
        raise ContractError(f"{bench.case}: it stopped only {late:.1f} s after it was told to")
    refuse_changes(bench, inputs, before, "when it was cancelled it had")
    names = changed(around, surroundings())
    if names:
        told = " and ".join(names)
        raise ContractError(f"{bench.case}: cancelled, it leaves {told} changed: put it back in `finally`")
    refuse_threads(bench, running)
    _refuse_parts(bench, files)


def _stopped(bench: Bench, token: Token) -> Called | None:
    """Call the node; return None where it let `Cancelled` through."""
    try:
        return bench.call(token)
    except Cancelled:
        return None
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise ContractError(f"{bench.case}: cancelled, it raised {told}; let Cancelled through as it is") from error


def _refuse_parts(bench: Bench, before: list[Path]) -> None:
    """Raise where a call that was cancelled leaves files that have no name of their own yet."""
    left = left_behind(bench.base, before)
    parts = [path for path in left if path.name.startswith(".") or path.suffix in UNFINISHED]
    if parts:
        raise ContractError(f"{bench.case}: cancelled, it leaves the unfinished file {parts[0].name}: remove it")
