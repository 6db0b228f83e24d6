"""How a node behaves when it is called: the same each time, leaving all as it was, stopping when it is asked to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from nodegraph.engine.errors import Cancelled
from nodegraph.engine.mutation import fingerprints
from nodegraph.engine.spec import MISSING, NodeSpec
from nodegraph.testing.bench import Bench, Called, Token
from nodegraph.testing.comparing import difference
from nodegraph.testing.errors import ContractError
from nodegraph.testing.examples import other
from nodegraph.testing.surroundings import changed, left_behind, scrambled, surroundings, threads, watched

SEEDS = ("seed", "noise_seed")
CANCEL_POINTS = 3
"""Looks at whether to go on at which a cancel is tried: the first, the last, and one between."""


def seeds_of(spec: NodeSpec) -> list[str]:
    """Return the names of a node's seeds."""
    return [name for name in SEEDS if name in spec.inputs and spec.inputs[name].type.data]


def determinism(bench: Bench) -> None:
    """Check that a node gives the same twice, whatever the random states that all share are."""
    bench.give()  # libraries that it loads may draw numbers
    with scrambled(1):
        first = bench.give()
    with scrambled(2):
        second = bench.give()
    told = difference(first, second)
    if told is not None:
        raise ContractError(
            f"{bench.case}: two calls with the same inputs give different results: {told}. Its results are kept and "
            "used again: draw random numbers from a generator of its own, seeded by an input, or mark it cache=False"
        )


def seeds(bench: Bench) -> None:
    """Check that another seed gives another result."""
    for name in seeds_of(bench.spec):
        now = bench.inputs().get(name, bench.spec.inputs[name].default)
        seed = other(bench.spec.inputs[name], now)
        if seed is not MISSING and difference(bench.give(**{name: now}), bench.give(**{name: seed})) is None:
            raise ContractError(
                f"{bench.case}: `{name}` {now} and {seed} give the same result: is the seed used? If another example "
                "shows it, give that one"
            )


def changes(bench: Bench) -> None:
    """Check that the other values that the case names give other results."""
    if not bench.case.changes:
        return
    plain = bench.give()
    for name, value in bench.case.changes.items():
        if difference(plain, bench.give(**{name: value})) is None:
            raise ContractError(
                f"{bench.case}: another `{name}` ({value!r}) gives the same result: is it used, or does the node keep "
                "results of its own by something else?"
            )


def inputs_unchanged(bench: Bench) -> None:
    """Check that a node leaves its inputs as they are."""
    inputs = bench.inputs()
    before = fingerprints(inputs)
    bench.give()
    _refuse_changes(bench, inputs, before, "it")


def _refuse_changes(bench: Bench, inputs: dict[str, Any], before: dict[str, int], who: str) -> None:
    after = fingerprints(inputs)
    names = [f"`{name}`" for name, number in before.items() if after[name] != number]
    if names:
        raise ContractError(
            f"{bench.case}: {who} changed its input {' and '.join(names)} in place. Inputs are read-only, as they may "
            "sit in the cache: work on a copy, such as `image.pixels.clone()`"
        )


def surroundings_unchanged(bench: Bench) -> None:
    """Check that a node leaves what all share as it is, writes no files unless it is a sink, and starts nothing."""
    bench.give()  # what is done once, when libraries are loaded, is not the node's
    with scrambled(3), watched(bench.base) as acts:
        before, running = surroundings(), threads()
        bench.give()
        names = changed(before, surroundings())
    if names:
        raise ContractError(
            f"{bench.case}: it changed {' and '.join(names)}, which all nodes share; draw numbers from a generator of "
            "its own (`torch.Generator().manual_seed(seed)`), and put back what must be set"
        )
    _refuse_threads(bench, running)
    if acts and bench.spec.cache and not bench.spec.output:
        raise ContractError(
            f"{bench.case}: it {acts[0]}, which does not happen when its result is taken from the cache: mark it "
            "output=True if it saves something, cache=False if it must run each time"
        )


def _refuse_threads(bench: Bench, before: set[Any]) -> None:
    left = [thread for thread in threads() - before if not thread.daemon]
    for thread in left:
        thread.join(0.5)
    left = [thread for thread in left if thread.is_alive()]
    if left:
        raise ContractError(f"{bench.case}: it leaves the thread {left[0].name!r} running: join what it starts")


def cancel(bench: Bench) -> None:
    """Check that a node stops soon once it is asked to, lets `Cancelled` through, and leaves nothing behind."""
    plain = _plain(bench)
    looks = plain.token.looks
    if looks == 0:
        if plain.seconds > bench.case.deadline:
            raise ContractError(
                f"{bench.case}: it worked for {plain.seconds:.1f} s and never looked whether to go on: take a "
                "`context: Context` and call context.check_cancelled() between steps"
            )
        return
    for at in sorted({1, (looks + 1) // 2, looks})[:CANCEL_POINTS]:
        _cancelled_at(bench, at, looks)
    again = _plain(bench)
    if bench.spec.cache and difference(plain.result, again.result) is not None:
        raise ContractError(f"{bench.case}: after a call that was cancelled it gives another result than before")


def _plain(bench: Bench) -> Called:
    try:
        return bench.call()
    except Exception as error:
        raise bench.failed(error) from error


def _cancelled_at(bench: Bench, at: int, looks: int) -> None:
    """Cancel when the node looks for the `at`th time whether to go on."""
    inputs, token = bench.inputs(), Token(at)
    before, around, running, files = fingerprints(inputs), surroundings(), threads(), left_behind(bench.base, [])
    asked = time.perf_counter()
    try:
        called = bench.call(token)
    except Cancelled:
        called = None
    except Exception as error:
        raise ContractError(
            f"{bench.case}: cancelled, it raised {type(error).__name__}: {error}; let Cancelled through as it is"
        ) from error
    if called is not None and token.told and at < looks:
        raise ContractError(
            f"{bench.case}: it was told to stop at its look {at} of {looks} and went on to its end: "
            "do not catch Cancelled"
        )
    late = time.perf_counter() - asked
    if at == 1 and late > bench.case.deadline:
        raise ContractError(
            f"{bench.case}: it stopped only {late:.1f} s after it began, though it was cancelled before"
        )
    _refuse_changes(bench, inputs, before, "when it was cancelled it had")
    names = changed(around, surroundings())
    if names:
        raise ContractError(
            f"{bench.case}: cancelled, it leaves {' and '.join(names)} changed: put it back in `finally`"
        )
    _refuse_threads(bench, running)
    _refuse_parts(bench, files)


def _refuse_parts(bench: Bench, before: list[Path]) -> None:
    """Raise where a call that was cancelled leaves files that have no name of their own yet."""
    parts = [path for path in left_behind(bench.base, before) if path.name.startswith(".") or path.suffix in _PARTS]
    if parts:
        raise ContractError(f"{bench.case}: cancelled, it leaves the unfinished file {parts[0].name}: remove it")


_PARTS = (".tmp", ".part", ".partial")


def hidden(bench: Bench) -> None:
    """Check that a result depends on nothing that its name leaves out: settings and files that are not declared."""
    called = _plain(bench)
    settings = sorted(called.settings.asked - set(bench.spec.settings))
    if settings:
        names = ", ".join(map(repr, settings))
        raise ContractError(
            f"{bench.case}: it asks for the setting {names}, which is no part of its result's name: declare it, "
            f"@node(..., settings=({names},))"
        )
    kinds = {port.file for port in bench.spec.inputs.values() if port.file is not None}
    undeclared = sorted({kind for kind, _ in called.folders.asked if kind not in kinds})
    if undeclared:
        raise ContractError(
            f"{bench.case}: it reads a file of {undeclared[0]!r} that no input names: a changed file would go unseen; "
            f'name it by an input, Annotated[str, File("{undeclared[0]}")], or mark the node cache=False'
        )
