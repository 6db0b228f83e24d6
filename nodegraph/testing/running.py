"""How a node does in a workflow: through the engine, from the cache, once an item of a list, kept on disk."""

from __future__ import annotations

from typing import Any

from nodegraph.engine.expansion import Expansion
from nodegraph.engine.serializers import UnwritableError, pack, unpack
from nodegraph.engine.spec import MISSING, InputPort, NodeSpec
from nodegraph.engine.types import accepts, bare, list_of
from nodegraph.testing.bench import NODE, Bench
from nodegraph.testing.comparing import difference
from nodegraph.testing.errors import ContractError
from nodegraph.testing.examples import other


def workflow(bench: Bench) -> None:
    """Check that a workflow gives what the function gives, from values that went through JSON."""
    given, run = bench.give(), bench.run()
    if isinstance(given, Expansion) or not bench.spec.cache:
        return
    told = difference(given, dict(run))
    if told is not None:
        raise ContractError(f"{bench.case}: run in a workflow it gives something else than the function: {told}")


def cache(bench: Bench) -> None:
    """Check that a result is found again, and that no other inputs find it."""
    first = bench.run()
    executor, graph = bench.planned()
    plan = executor.plan(graph, [NODE])
    if NODE not in plan.reused:
        why = "; ".join(str(decision) for decision in plan.explain() if decision.node == NODE)
        raise ContractError(f"{bench.case}: its result is not kept, so that it runs each time ({why})")
    told = difference(dict(first), dict(bench.run()))
    if told is not None:
        raise ContractError(f"{bench.case}: the result that was kept is no longer what it was: {told}")
    for name, port in bench.spec.inputs.items():
        value = _other(bench, name, port)
        if value is not MISSING:
            _refuse_stale(bench, name, value)


def _other(bench: Bench, name: str, port: InputPort) -> Any:
    if name in bench.case.changes:
        return bench.case.changes[name]
    value = bench.inputs().get(name, port.default)
    return MISSING if value is MISSING or port.lazy else other(port, value)


def _refuse_stale(bench: Bench, name: str, value: Any) -> None:
    """Raise where another value of an input gives, from the engine, something else than from the function."""
    try:
        expected = bench.give(**{name: value})
    except ContractError:  # that value does not go with the others; nothing is told by it
        return
    if isinstance(expected, Expansion):
        return
    told = difference(expected, dict(bench.run(**{name: value})))
    if told is not None:
        raise ContractError(
            f"{bench.case}: with `{name}` {value!r} a workflow gives something else than the function: {told}; "
            "does the node keep results of its own?"
        )


def mapped_input(spec: NodeSpec) -> str | None:
    """Return an input that a list can be wired to, so that the node runs once an item; None where there is none."""
    for name, port in spec.inputs.items():
        anything = bare(port.type.annotation) in (Any, object)
        if port.lazy or port.body or anything or port.file is not None or port.type.item is not None:
            continue
        if not accepts(port.type.annotation, list_of(port.type).annotation):
            return name
    return None


def lists(bench: Bench) -> None:
    """Check that a list runs the node once an item, and that each item gives what it gives alone."""
    name = mapped_input(bench.spec)
    if name is None:
        return
    value: Any = bench.inputs().get(name, bench.spec.inputs[name].default)
    if value is MISSING or value is None:
        return
    second = _other(bench, name, bench.spec.inputs[name])
    items: list[Any] = [value, value if second is MISSING else second]
    try:
        alone = [bench.run(**{name: item}) for item in items]
    except ContractError:
        items = [value, value]
        alone = [bench.run(), bench.run()]
    mapped = bench.run({name: items})
    for output in bench.spec.outputs:
        told = difference([single[output] for single in alone], mapped[output])
        if told is not None and bench.spec.cache:
            raise ContractError(
                f"{bench.case}: a list wired to `{name}` gives other results than its items alone: {told}"
            )


def disk(bench: Bench) -> None:
    """Check that what is kept on disk is what was given."""
    from nodegraph.diffusion.serialize import SERIALIZERS

    for name, value in bench.run().items():
        parts: list[bytes] = []

        def add(data: bytes, parts: list[bytes] = parts) -> int:
            parts.append(data)
            return len(parts) - 1

        try:
            packed = pack(value, SERIALIZERS, add)
        except UnwritableError:
            continue  # what has no form of its own on disk is kept in memory alone
        told = difference(value, unpack(packed, SERIALIZERS, parts.__getitem__))
        if told is not None:
            raise ContractError(f"{bench.case}: `{name}` is something else when it is read from disk again: {told}")
