"""How a node behaves when it is called: the same each time, leaving all as it was, stopping when it is asked to."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from nodegraph.engine.mutation import fingerprints
from nodegraph.engine.spec import MISSING, NodeSpec
from nodegraph.testing.bench import Bench, Called
from nodegraph.testing.comparing import difference
from nodegraph.testing.errors import ContractError
from nodegraph.testing.examples import other
from nodegraph.testing.surroundings import changed, foreign, paths_in, scrambled, surroundings, threads, watched

SEEDS = ("seed", "noise_seed")


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
    refuse_changes(bench, inputs, before, "it")


def refuse_changes(bench: Bench, inputs: dict[str, Any], before: dict[str, int], who: str) -> None:
    """Raise where inputs are not what they were."""
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
    with scrambled(3), watched(bench.base) as seen:
        before, running = surroundings(), threads()
        bench.give()
        names = changed(before, surroundings())
    if names:
        raise ContractError(
            f"{bench.case}: it changed {' and '.join(names)}, which all nodes share; draw numbers from a generator of "
            "its own (`torch.Generator().manual_seed(seed)`), and put back what must be set"
        )
    refuse_threads(bench, running)
    if seen.acts and bench.spec.cache and not bench.spec.output:
        raise ContractError(
            f"{bench.case}: it {seen.acts[0]}, which does not happen when its result is taken from the cache: mark it "
            "output=True if it saves something, cache=False if it must run each time"
        )


def refuse_threads(bench: Bench, before: set[Any]) -> None:
    """Raise where threads run that did not before; they get a moment to end."""
    left = [thread for thread in threads() - before if not thread.daemon]
    for thread in left:
        thread.join(0.5)
    left = [thread for thread in left if thread.is_alive()]
    if left:
        raise ContractError(f"{bench.case}: it leaves the thread {left[0].name!r} running: join what it starts")


def plainly(bench: Bench) -> Called:
    """Call the node with its example."""
    try:
        return bench.call()
    except Exception as error:
        raise bench.failed(error) from error


def hidden(bench: Bench) -> None:
    """Check that a result depends on nothing that its name leaves out: settings, files, the environment."""
    bench.give()  # what is read when libraries are loaded is not the node's
    with watched(bench.base) as seen:
        called = plainly(bench)
    _refuse_settings(bench, called)
    _refuse_kinds(bench, called)
    package = bench.spec.function.__module__.partition(".")[0]
    variables = sorted({name for name, module in seen.variables if module.partition(".")[0] == package})
    if variables:
        raise ContractError(
            f"{bench.case}: it looks at the variable {variables[0]} of the environment, which is no part of its "
            "result's name: make it an input, or mark the node cache=False"
        )
    declared = [called.folders.path(kind, name) for kind, name in called.folders.asked]
    read = foreign(seen.reads, [*declared, *paths_in(bench.inputs()), *_home(bench.spec)])
    if read:
        raise ContractError(
            f"{bench.case}: it reads {read[0]}, which no input names as a file: when that file changes, the old result "
            'is still taken from the cache; name it by an input, Annotated[str, File("input")], or mark the node '
            "cache=False"
        )


def _refuse_settings(bench: Bench, called: Called) -> None:
    """Raise where a node asked for settings that it does not declare."""
    settings = sorted(called.settings.asked - set(bench.spec.settings))
    if settings:
        names = ", ".join(map(repr, settings))
        raise ContractError(
            f"{bench.case}: it asks for the setting {names}, which is no part of its result's name: declare it, "
            f"@node(..., settings=({names},))"
        )


def _refuse_kinds(bench: Bench, called: Called) -> None:
    """Raise where a node asked for files of a kind that no input names or mentions."""
    ports = bench.spec.inputs.values()
    kinds = {port.file for port in ports} | {port.mentions.kind for port in ports if port.mentions is not None}
    undeclared = sorted({kind for kind, _ in called.folders.asked if kind not in kinds})
    if undeclared:
        raise ContractError(
            f"{bench.case}: it reads a file of {undeclared[0]!r} that no input names: a changed file would go unseen; "
            f'name it by an input, Annotated[str, File("{undeclared[0]}")], or mark the node cache=False'
        )


def _home(spec: NodeSpec) -> list[Path]:
    """Return the folder of a node's own code, whose files have the version of its plugin."""
    code = getattr(inspect.unwrap(spec.function), "__code__", None)
    return [] if code is None else [Path(code.co_filename).parent]
