"""A node and an example of its inputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nodegraph.engine.errors import PluginError
from nodegraph.engine.nearest import nearest
from nodegraph.engine.node import is_node, spec_of
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec
from nodegraph.engine.values import MisfitError, Values
from nodegraph.testing.errors import ContractError
from nodegraph.testing.examples import example


@dataclass(frozen=True, eq=False)
class Case:
    """A node, given as its function or by its id, and an example of what it gets.

    What has a default may be left out, and so may pictures, masks, latents, prompts, numbers and texts. `changes` are
    other values by input, each of which must give another result. `files` has a folder for each kind of file that the
    node reads. `settings` are those of the run, `answer` is what a node that asks gets. A node must stop within
    `deadline` seconds. `without` names checks that do not hold for this node.
    """

    node: Callable[..., Any] | str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)
    answer: Json = MISSING
    deadline: float = 2.0
    without: Collection[str] = ()
    label: str = ""

    def __str__(self) -> str:
        if self.label or isinstance(self.node, str):
            return self.label or str(self.node)
        options = getattr(self.node, "__nodegraph_node__", None)
        return str(getattr(options, "id", None) or getattr(self.node, "__name__", self.node))

    @cached_property
    def spec(self) -> NodeSpec:
        """Return the node's type; raise `ContractError` where it is none."""
        if isinstance(self.node, str):
            return _installed(self.node)
        if not is_node(self.node):
            raise ContractError(f"{self}: not a node; mark the function with @node('pack.Name')")
        try:
            return spec_of(self.node)
        except PluginError as error:
            raise ContractError(str(error)) from error

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """Return a value for every input that has none by default, as the function takes it."""
        unknown = [name for name in (*self.arguments, *self.changes) if name not in self.spec.inputs]
        if unknown:
            near = nearest(unknown[0], self.spec.inputs)
            hint = f"did you mean {near!r}?" if near else f"its inputs are {', '.join(self.spec.inputs) or 'none'}"
            raise ContractError(f"{self} has no input {unknown[0]!r}: {hint}")
        return {name: value for name in self.spec.inputs if (value := self._value(name)) is not MISSING}

    def _value(self, name: str) -> Any:
        port = self.spec.inputs[name]
        if name in self.arguments:
            return checked(self, port, self.arguments[name])
        if not port.required:
            return MISSING
        value = example(port)
        if value is MISSING:
            raise ContractError(f"{self}: no example of `{name}` ({port.type.name}): give one, case(..., {name}=...)")
        return checked(self, port, value)


def case(node: Callable[..., Any] | str, /, **arguments: Any) -> Case:
    """Return a node with an example of its inputs; `Case` takes more than these."""
    return Case(node, arguments)


def checked(case: Case, port: InputPort, value: Any) -> Any:
    """Return a value as a run would hand it to the node; raise `ContractError` where it does not fit."""
    if port.body or not typable(port, value):
        return value
    try:
        return Values().check(port, port.type.dump(value))
    except MisfitError as misfit:
        raise ContractError(f"{case}: the example of `{port.name}`: {misfit}") from misfit


def typable(port: InputPort, value: Any) -> bool:
    """Tell whether a value can stand in a file; else it comes by a wire."""
    if not port.type.data or isinstance(value, (list, tuple, dict)) or hasattr(value, "__dataclass_fields__"):
        return port.type.data and plain(value)
    try:
        return plain(port.type.dump(value))
    except Exception:  # noqa: BLE001 - pydantic has many ways of not knowing a type
        return False


def plain(value: object) -> bool:
    """Tell whether a value is made of JSON's types alone."""
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def folders_of(case: Case, base: Path) -> dict[str, list[Path]]:
    """Return the folders of a run in `base`, with the case's own for what the node reads."""
    roots = {kind: [base / kind] for kind in ("input", "output", "temp")}
    return {**roots, **{kind: [folder, *roots.get(kind, [])] for kind, folder in case.files.items()}}


def _installed(id: str) -> NodeSpec:
    """Return the node type of that id, of this environment's plugins."""
    from nodegraph.runtime import Options, Runtime

    with tempfile.TemporaryDirectory() as folder:
        plugins = Runtime(Options(data=Path(folder))).plugins
    if id in plugins.registry:
        return plugins.registry[id]
    near = plugins.registry.nearest(id)
    why = plugins.registry.why_absent(id) or (f"did you mean {near!r}?" if near else "is its plugin installed?")
    raise ContractError(f"no node has the id {id!r}: {why}")
