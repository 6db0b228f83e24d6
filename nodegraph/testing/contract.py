"""The contract of nodes, as checks that a test calls one by one or all together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import NodeSpec
from nodegraph.testing import behaviour, cancelling, declared, running
from nodegraph.testing.bench import Bench
from nodegraph.testing.cases import Case
from nodegraph.testing.errors import ContractError


@dataclass(frozen=True)
class Promise:
    """Something that nodes promise: how it is checked, and of which nodes."""

    check: Callable[[Bench], None]
    of: Callable[[NodeSpec], bool] = lambda spec: True


def _called(spec: NodeSpec) -> bool:
    """Tell whether the function can be called by itself."""
    return not any(port.body for port in spec.inputs.values())


def _kept(spec: NodeSpec) -> bool:
    """Tell whether results are kept and used again."""
    return spec.cache and not spec.output


PROMISES: Final[dict[str, Promise]] = {
    "schema": Promise(declared.schema),
    "outputs": Promise(declared.outputs),
    "determinism": Promise(behaviour.determinism, lambda spec: _kept(spec) and bool(spec.outputs)),
    "seeds": Promise(behaviour.seeds, lambda spec: _kept(spec) and bool(behaviour.seeds_of(spec))),
    "changes": Promise(behaviour.changes, lambda spec: bool(spec.outputs)),
    "inputs": Promise(behaviour.inputs_unchanged, lambda spec: _called(spec) and bool(spec.inputs)),
    "surroundings": Promise(behaviour.surroundings_unchanged, _called),
    "cancel": Promise(cancelling.cancel, _called),
    "hidden": Promise(behaviour.hidden, lambda spec: _called(spec) and _kept(spec)),
    "workflow": Promise(running.workflow),
    "cache": Promise(running.cache, _kept),
    "lists": Promise(running.lists, lambda spec: running.mapped_input(spec) is not None),
    "disk": Promise(running.disk, lambda spec: _kept(spec) and bool(spec.outputs)),
}
"""Every promise by its name, in the order in which they are checked."""


@dataclass(frozen=True)
class Check:
    """One promise of one node: call it, and it raises `ContractError` where the promise is not kept."""

    name: str
    case: Case

    def __call__(self) -> None:
        """Check the promise."""
        with Bench(self.case) as bench:
            PROMISES[self.name].check(bench)

    def __str__(self) -> str:
        return f"{self.case}-{self.name}"


def contract(*cases: Case) -> list[Check]:
    """Return the checks of nodes, to be called one by one: `pytest.mark.parametrize("check", contract(...), ids=str)`.

    What does not concern a node is left out: a node that is marked `cache=False` need not give the same twice.
    """
    return [Check(name, case) for case in cases for name in _names(case)]


def _names(case: Case) -> list[str]:
    unknown = [name for name in case.without if name not in PROMISES]
    if unknown:
        near = nearest(unknown[0], PROMISES)
        raise ValueError(f"{case}: no check is called {unknown[0]!r}; " + (f"did you mean {near!r}?" if near else ""))
    try:
        spec = case.spec
    except ContractError:  # which the first check tells
        return ["schema"]
    return [name for name, promise in PROMISES.items() if name not in case.without and promise.of(spec)]


def check_node(node: Case | Callable[..., Any] | str, /, **arguments: Any) -> None:
    """Check all that a node promises, with an example of its inputs; raise `ContractError` with all that it breaks."""
    tried = node if isinstance(node, Case) else Case(node, arguments)
    broken: dict[str, str] = {}
    for check in contract(tried):
        try:
            check()
        except ContractError as error:
            broken.setdefault(str(error), check.name)  # an example that fails is told once
    if broken:
        raise ContractError("\n".join(f"{name}: {told}" for told, name in broken.items()))
