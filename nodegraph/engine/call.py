"""Calling a node: its inputs, what it is told, and what it gave, by output."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from nodegraph.engine.context import Ancestor
from nodegraph.engine.marks import Lazy
from nodegraph.engine.naming import Guard
from nodegraph.engine.recipe import FLEETING
from nodegraph.engine.spec import MISSING, NodeSpec
from nodegraph.engine.task import State, Task
from nodegraph.engine.values import MisfitError, Values

LONGEST_MESSAGE = 2000


class NotYet(BaseException):
    """Leaves a node that asked for a lazy input which has not been made; the node is called again when it has.

    Not an `Exception`, so that a node's own error handling lets it pass.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        super().__init__(port)


def inputs_of(task: Task, values: Values) -> dict[str, Any]:
    """Return what a task's function is called with, but for the context; defaults are the function's own.

    Raises `ValueError` where a value that came by wire does not fit.
    """
    inputs = dict(task.instance.params)
    lazy, guards = task.signature.lazy, task.signature.guards
    for port, (source, output) in task.links.items():
        if source.names is not None and source.names[output][0] == FLEETING:
            task.fleeting = True
        if port in lazy:
            inputs[port] = Lazy(_getter(task, port, values))
            continue
        value = source.values[output]  # type: ignore[index]  # a source that is read has its values
        guard = guards.get(port)
        if guard is not None and type(value) is not guard.exact:
            value = _arrived(guard, value, values)
        inputs[port] = value
    if task.constants is not None:
        for port, constant in task.constants.items():
            inputs[port] = _arrived(guards[port], constant.value, values) if port in guards else constant.value
    for port in task.given:
        if port in guards:
            inputs[port] = _arrived(guards[port], inputs[port], values)
    for port in lazy:
        if port in inputs and port not in task.links:
            inputs[port] = Lazy.of(inputs[port])
    return inputs


def _arrived(guard: Guard, value: Any, values: Values) -> Any:
    try:
        return values.arrived(guard.port, value)
    except MisfitError as misfit:
        hint = "" if misfit.nearest is None else f" (did you mean {misfit.nearest!r}?)"
        raise ValueError(f"`{guard.port.name}` {misfit.message}{hint}") from misfit


def _getter(task: Task, port: str, values: Values) -> Callable[[], Any]:
    source, output = task.links[port]

    def get() -> Any:
        if source.values is None:
            raise NotYet(port)
        if task.read is None:
            task.read = set()
        task.read.add(port)
        guard = task.signature.guards.get(port)
        value = source.values[output]
        return value if guard is None else _arrived(guard, value, values)

    return get


def outputs_of(spec: NodeSpec, result: Any) -> Mapping[str, Any]:
    """Return what a node gave, by output; raise `TypeError` where it is not what the node declares."""
    if spec.named_outputs:
        if not isinstance(result, tuple) or len(result) != len(spec.outputs):
            raise TypeError(f"it returned {type(result).__name__}, expected ({', '.join(spec.outputs)})")
        return dict(zip(spec.outputs, result, strict=True))
    if spec.outputs:
        return {"out": result}
    if result is not None:
        raise TypeError(f"it returned {type(result).__name__}, but declares no output")
    return {}


def message_of(error: BaseException) -> str:
    """Return what an error says, cut where it is too long to read."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an exception's own text may fail
        text = f"(its message cannot be told: {type(broken).__name__})"
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]}... ({len(text)} characters)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def forget_frames(error: BaseException) -> None:
    """Drop what the frames of an error hold: a failure must not keep gigabytes alive as long as its report."""
    seen: set[int] = set()
    stack: list[BaseException | None] = [error]
    while stack:
        here = stack.pop()
        if here is not None and id(here) not in seen:
            seen.add(id(here))
            traceback.clear_frames(here.__traceback__)
            _clear_callers(here.__traceback__)
            stack += [here.__cause__, here.__context__]


def _clear_callers(trace: TracebackType | None) -> None:
    """Drop what the frames hold that called the first of a traceback, as far as they have ended."""
    frame = None if trace is None else trace.tb_frame.f_back
    while frame is not None:
        with suppress(RuntimeError):  # it still runs
            frame.clear()
        frame = frame.f_back


def ancestors(task: Task) -> tuple[Ancestor, ...]:
    """Return the nodes that a task's result is made from, sources first, itself last."""
    found: dict[str, Ancestor] = {}
    stack: list[tuple[Task, bool]] = [(task, False)]
    seen: set[int] = set()
    while stack:
        here, sources_done = stack.pop()
        if sources_done:
            found[here.id] = _ancestor(here)
        elif id(here) not in seen:
            seen.add(id(here))
            stack.append((here, True))
            upstream = [source for port, (source, _) in here.links.items() if _may_have_read(here, port)]
            upstream += [one.origin for one in (here.constants or {}).values() if one.origin is not None]
            stack.extend((source, False) for source in reversed(upstream))
    return tuple(found.values())


def _may_have_read(task: Task, port: str) -> bool:
    """Leave out the branch that a switch did not take, where that is known."""
    return not (task.is_lazy(port) and task.state is State.DONE and task.read is not None and port not in task.read)


def _ancestor(task: Task) -> Ancestor:
    spec = task.spec
    params = {
        name: task.instance.params.get(name, port.default)
        for name, port in spec.inputs.items()
        if name in task.instance.params or (name not in task.links and port.default is not MISSING)
    }
    files = {
        name: (port.file, params[name])
        for name, port in spec.inputs.items()
        if port.file is not None and isinstance(params.get(name), str)
    }
    mentions = tuple(port.mentions for port in spec.inputs.values() if port.mentions is not None)
    return Ancestor(task.id, spec.id, spec.version, spec.plugin, spec.plugin_version, params, files, mentions)
