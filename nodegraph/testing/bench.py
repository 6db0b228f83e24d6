"""Runs the node of a case: called as the function that it is, and as a node of a workflow."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from nodegraph.engine.cache import Entry
from nodegraph.engine.call import outputs_of
from nodegraph.engine.check import check
from nodegraph.engine.context import CancelToken, Context
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.events import Event, Output
from nodegraph.engine.executor import Executor
from nodegraph.engine.expansion import Expansion
from nodegraph.engine.folders import Folders
from nodegraph.engine.marks import Lazy
from nodegraph.engine.questions import NO_ANSWERS, Answers
from nodegraph.engine.registry import Registry
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec, OutputPort
from nodegraph.engine.types import list_of, port_type
from nodegraph.engine.workflow import load_workflow
from nodegraph.testing.cases import Case, checked, folders_of, typable
from nodegraph.testing.errors import ContractError

NODE = "node"
"""The id of the node that is tested, in its workflow."""


class Token(CancelToken):
    """Counts how often a node looks whether it shall go on, and cancels when it has looked `at` times."""

    __slots__ = ("at", "looks", "told", "when")

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.at, self.looks, self.told = at, 0, False
        self.when: list[float] = []

    @property
    def cancelled(self) -> bool:
        """Tell whether the run shall stop."""
        self.looks += 1
        self.when.append(time.perf_counter())
        if self.at is not None and self.looks >= self.at:
            self.cancel()
        self.told = self.told or self._cancelled
        return self._cancelled

    def check(self) -> None:
        """Raise `Cancelled` if the run shall stop."""
        _ = self.cancelled
        super().check()


class Settings(Mapping[str, Json]):
    """Settings of a run that remember which were asked for."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values, self.asked = dict(values), set[str]()

    def __getitem__(self, name: str) -> Json:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Watched(Folders):
    """Folders that remember which files were asked for."""

    def __init__(self, roots: Mapping[str, list[Path]]) -> None:
        super().__init__(roots)
        self.asked: set[tuple[str, str]] = set()

    def path(self, kind: str, name: str, *, hint: bool = True) -> Path:
        """Return the file that a name leads to."""
        self.asked.add((kind, name))
        return super().path(kind, name, hint=hint)


@dataclass
class Called:
    """What a call of the function came to."""

    result: Any
    started: float
    seconds: float
    settings: Settings
    folders: Watched
    token: Token
    events: list[Event] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """Return the longest time that the node worked without looking whether to go on."""
        moments = [self.started, *self.token.when, self.started + self.seconds]
        return max(later - earlier for earlier, later in pairwise(moments))

    @property
    def written(self) -> list[Path]:
        """Return the files that the node told of."""
        return [event.file for event in self.events if isinstance(event, Output)]


class Bench:
    """Tries the node of one case, in folders of its own that go when it is closed."""

    def __init__(self, case: Case) -> None:
        self.case, self.spec = case, case.spec
        self._temporary = tempfile.TemporaryDirectory(prefix="nodegraph-testing-", ignore_cleanup_errors=True)
        self.base = Path(self._temporary.name)
        self.cache: MutableMapping[str, Entry] = {}
        self._given: list[Any] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self._temporary.cleanup()

    @property
    def direct(self) -> bool:
        """Tell whether the function can be called by itself: not if it takes a subgraph, which a workflow has."""
        return not any(port.body for port in self.spec.inputs.values())

    def inputs(self, **overrides: Any) -> dict[str, Any]:
        """Return what the function gets, the context left out."""
        given = {name: checked(self.case, self.spec.inputs[name], value) for name, value in overrides.items()}
        return {**self.case.values, **given}

    def call(self, token: Token | None = None, **overrides: Any) -> Called:
        """Call the function; what it raises goes on to the caller."""
        folders, settings = Watched(folders_of(self.case, self.base)), Settings(self._settings())
        called = Called(None, time.perf_counter(), 0.0, settings, folders, token or Token())
        inputs = self.inputs(**overrides)
        for name, port in self.spec.inputs.items():
            if port.lazy and name in inputs:
                inputs[name] = Lazy.of(inputs[name])
        if self.spec.context is not None:
            answers = {} if self.case.answer is MISSING else {NODE: self.case.answer}
            inputs[self.spec.context] = Context(
                NODE,
                settings=settings,
                folders=folders,
                cancel=called.token,
                emit=called.events.append,
                answers=answers,
            )
        called.started = time.perf_counter()
        try:
            called.result = _await(self.spec, inputs) if self.spec.is_async else self.spec.function(**inputs)
        finally:
            called.seconds = time.perf_counter() - called.started
        return called

    def give(self, **overrides: Any) -> Any:
        """Return what the node gives for the example: its outputs by name, or what it expands into."""
        if not self.direct:
            return self.run(**overrides)
        try:
            result = self.call(**overrides).result
        except Exception as error:
            raise self.failed(error) from error
        return result if isinstance(result, Expansion) else outputs_of(self.spec, result)

    def run(self, lists: Mapping[str, list[Any]] | None = None, **overrides: Any) -> Mapping[str, Any]:
        """Return the outputs of the node in a workflow, by name; `lists` are wired to inputs that take one item."""
        executor, graph = self.planned(lists, **overrides)
        result = executor.run(executor.plan(graph, [NODE]), answers=self._answers)
        for failure in result.failures.values():
            raise self.failed(failure.__cause__ or failure) from failure
        if NODE not in result.nodes:
            raise ContractError(f"{self.case}: the workflow ended without a result: {result.waiting or result.skipped}")
        return result.nodes[NODE]

    def planned(self, lists: Mapping[str, list[Any]] | None = None, **overrides: Any) -> tuple[Executor, Any]:
        """Return an executor over this bench's cache, and the graph of a workflow that has the node."""
        nodes: dict[str, Any] = {NODE: {"type": self.spec.id, "params": {}, "links": {}}}
        subgraphs: dict[str, Json] = {}
        specs = [self.spec]
        mapped = {name: items[0] for name, items in (lists or {}).items()}
        for name, value in {**mapped, **self.inputs(**overrides)}.items():
            port, many = self.spec.inputs[name], (lists or {}).get(name)
            if port.body and not isinstance(value, str):
                subgraphs[name], nodes[NODE]["params"][name] = value, name
            elif many is None and (port.body or typable(port, value)):
                nodes[NODE]["params"][name] = value if port.body else port.type.dump(value)
            else:
                specs.append(self._source(name, port, value if many is None else many, mapped=many is not None))
                nodes[f"given_{name}"] = {"type": specs[-1].id, "params": {"token": self._token(many or value)}}
                nodes[NODE]["links"][name] = f"given_{name}.out"
        registry = Registry([*specs, *_others(self.spec, subgraphs)])
        folders = Folders(folders_of(self.case, self.base))
        document = {"format": 1, "nodes": nodes, "subgraphs": subgraphs}
        try:
            graph = check(load_workflow(document), registry, folders=folders)
        except WorkflowError as error:
            raise ContractError(f"{self.case}: a workflow with it is refused: {error}") from error
        return Executor(self.cache, settings=self._settings(), folders=folders, check_mutation=True), graph

    @property
    def _answers(self) -> Answers:
        answer = self.case.answer
        return NO_ANSWERS if answer is MISSING else lambda question: answer

    def _settings(self) -> dict[str, Json]:
        settings = {"device": "cpu", "dtype": "float32", "metadata": True, "engine": "nodegraph", **self.case.settings}
        if not self.spec.cache or self.spec.output:
            return settings
        return {name: value for name, value in settings.items() if name in self.spec.settings}

    def _source(self, name: str, port: InputPort, value: Any, *, mapped: bool) -> NodeSpec:
        """Return a node type that gives what is wired to an input."""
        kind = list_of(port.type) if mapped else port.type
        table = self._given

        def give(token: int) -> Any:
            return table[token]

        inputs = {"token": InputPort("token", port_type(int))}
        return NodeSpec(f"testing.{name}", give, inputs, {"out": OutputPort("out", kind)}, plugin="testing")

    def _token(self, value: Any) -> int:
        """Return the number of a value among those given: another value, another recipe."""
        for index, known in enumerate(self._given):
            if known is value:
                return index
        self._given.append(value)
        return len(self._given) - 1

    def failed(self, error: BaseException) -> ContractError:
        """Return what to say where the example itself fails."""
        if isinstance(error, ContractError):
            return error
        told = f"{type(error).__name__}: {error}"
        return ContractError(f"{self.case}: the example fails, {told}; if its inputs are at fault, give others")


def _others(spec: NodeSpec, subgraphs: Mapping[str, Json]) -> list[NodeSpec]:
    """Return the built-in nodes where a subgraph may need them."""
    if not subgraphs:
        return []
    from nodegraph.engine.plugins import load_plugins
    from nodegraph.runtime import SPECS

    registry = load_plugins(builtin=["nodegraph.nodes"], specs=SPECS, entry_points=False).registry
    return [other for other in registry.values() if other.id != spec.id]


def _await(spec: NodeSpec, inputs: Mapping[str, Any]) -> Any:
    """Run a coroutine to its end, on a loop in a thread of its own, as the caller may have one."""
    return in_thread(lambda: asyncio.run(spec.function(**inputs)))


def in_thread(work: Callable[[], Any]) -> Any:
    """Return what a function gives that runs in a thread of its own; what it raises is raised."""
    outcome: list[Any] = [None, None]

    def run() -> None:
        try:
            outcome[0] = work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            outcome[1] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]
