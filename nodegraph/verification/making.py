"""Makes pictures again: the workflow that they carry, run in folders of its own, with nothing taken from a cache."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.collection.index import Index
from nodegraph.engine.errors import Cancelled, WorkflowError
from nodegraph.engine.questions import Answers
from nodegraph.engine.spec import Json
from nodegraph.machine import user_cache
from nodegraph.verification.files import Finder, Found
from nodegraph.verification.records import Record
from nodegraph.verification.report import CannotVerifyError

if TYPE_CHECKING:
    from nodegraph.engine.context import CancelToken
    from nodegraph.engine.events import Event
    from nodegraph.engine.graph import Graph
    from nodegraph.outputs import Outputs, Picture
    from nodegraph.runtime import Options, Runtime


@dataclass(frozen=True)
class Made:
    """What a second run gave."""

    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Maker:
    """Runs workflows, one after the other, that share plugins and models; `folder` is its own, to be removed after."""

    options: Options
    folder: Path
    emit: Callable[[Event], None] | None = None
    cancel: CancelToken | None = None
    answers: Answers = field(default_factory=dict)
    tell: Callable[[str], object] = field(default=lambda message: None)
    _runs: int = 0
    _last: Runtime | None = None

    def make(self, workflow: Mapping[str, Json], record: Record | None, savers: Collection[str]) -> Made:
        """Run a workflow as far as the nodes that saved the pictures; raise `CannotVerifyError` where it cannot run."""
        from nodegraph.runtime import Runtime

        self._runs += 1
        place = self.folder / f"run{self._runs}"
        runtime = self._last = Runtime(self._options(record), after=self._last)
        found = Found()
        if record is not None:
            with Index(self.options.data or user_cache()) as index:
                finder = Finder(runtime.folders, index, self._check, self.tell)
                found = finder.lay_out(record.files, record.sizes, place / "found")
        if found.missing:
            raise CannotVerifyError(_lacking(found.missing))
        places = _places(runtime, place)
        graph = _checked(runtime, workflow, record, places)
        targets = _targets(graph, savers)
        outputs = runtime.run(
            graph, emit=self.emit, cancel=self.cancel, targets=targets, answers=self.answers, folders=places
        )
        return Made(outputs.pictures, (*found.notes, *_finished(outputs, savers)))

    def _check(self) -> None:
        if self.cancel is not None:
            self.cancel.check()

    def _options(self, record: Record | None) -> Options:
        """Return the options to run with: where nothing else was asked for, the record's device and precision."""
        then = {} if record is None else record.device
        return replace(
            self.options,
            device=self.options.device or _usable_device(then.get("device")),
            dtype=self.options.dtype or _known_dtype(then.get("dtype")),
            data=self.folder / "data",
            disk=0,
            cache=True,  # what this very process has made may be used for the next picture
            explain=False,
            metadata=True,
        )


def _places(runtime: Runtime, place: Path) -> dict[str, list[Path]]:
    """Return folders that are written to nowhere but in `place`, with what was found by content before all else."""
    folders, found = runtime.folders, place / "found"
    places = {kind: [found / kind, *folders.roots(kind)] for kind in folders.kinds if (found / kind).is_dir()}
    places["output"] = [place / "output", *places.get("output", folders.roots("output"))]
    places["temp"] = [place / "temp"]
    return places


def _usable_device(name: str | None) -> str | None:
    from nodegraph.diffusion.devices import parse_device

    try:
        return None if name is None else str(parse_device(name))
    except ValueError:
        return None  # the record of the new picture tells which was taken instead


def _known_dtype(name: str | None) -> str | None:
    from nodegraph.diffusion.devices import DTYPES

    return name if name in DTYPES else None


def _lacking(missing: tuple[str, ...]) -> str:
    inputs = any(name.startswith(("input/", "output/")) for name in missing)
    models = any(not name.startswith(("input/", "output/")) for name in missing)
    options = " and ".join(["--models"] * models + ["--input"] * inputs)
    told = ", ".join(missing)
    return f"what it was made from is not here, neither by name nor by content: {told}; name its folder with {options}"


def _checked(
    runtime: Runtime, workflow: Mapping[str, Json], record: Record | None, places: Mapping[str, list[Path]]
) -> Graph:
    try:
        return runtime.check(workflow, folders=places)
    except WorkflowError as error:
        lines = [str(problem) for problem in error.problems]
        lines += _absent_plugins(runtime, record) if record is not None else []
        raise CannotVerifyError("\n".join(["its workflow cannot be run here:", *lines])) from error


def _absent_plugins(runtime: Runtime, record: Record) -> list[str]:
    """Name the plugins whose nodes took part and that are not here."""
    named = {node.plugin.partition(" ")[0]: node.plugin for node in record.nodes if node.type not in runtime.registry}
    states = runtime.plugins.states
    return [
        f"the plugin {told} is " + ("not installed" if name not in states else f"set aside: {states[name].reason}")
        for name, told in named.items()
        if name and (name not in states or states[name].state != "loaded")
    ]


def _targets(graph: Graph, savers: Collection[str]) -> tuple[str, ...] | None:
    """Return the nodes to reach for what these nodes saved; None: all that the workflow itself reaches."""
    reached = set()
    for saver in savers:
        parts = saver.split("/")  # what a node is mapped or expanded into has an id below its own
        ids = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        reached.add(next((id for id in ids if id in graph.nodes), None))
    return None if None in reached or not reached else tuple(sorted(id for id in reached if id is not None))


def _finished(outputs: Outputs, savers: Collection[str]) -> tuple[str, ...]:
    """Return what the run warned of; raise where it did not come to its end.

    That a node asks is no end of those that have saved their pictures, as the one does that shows what it asks about.
    """
    result = outputs.result
    if result.cancelled:
        raise Cancelled("the run was cancelled")
    for failure in result.failures.values():
        raise CannotVerifyError(f"the run failed: {failure}") from failure
    done = bool(savers) and set(savers) <= {picture.node for picture in outputs.pictures}
    for asked in () if done else result.waiting.values():
        raise CannotVerifyError(
            f"{asked.node} asks: {asked.question}; what was answered then is not recorded, give it with"
            f" --answer {asked.node}=..."
        )
    return tuple(f"{node} warned: {told}" for node, warnings in result.warnings.items() for told in warnings)
