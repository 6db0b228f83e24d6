"""The loop: takes a task that is ready, calls the node, stores what it gave. `executor` tells the policy."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nodegraph.engine import events
from nodegraph.engine.cache import Entry
from nodegraph.engine.call import NotYet, ancestors, forget_frames, inputs_of, message_of, outputs_of
from nodegraph.engine.context import CancelToken, Context, Emit
from nodegraph.engine.coroutines import Coroutines
from nodegraph.engine.errors import Cancelled, NodeError, Waiting
from nodegraph.engine.expansion import Expansion
from nodegraph.engine.mutation import MutationError, fingerprints, refuse_changes
from nodegraph.engine.naming import Namer
from nodegraph.engine.plan import Plan
from nodegraph.engine.questions import Answers, Question
from nodegraph.engine.recipe import FLEETING, UncacheableError, digest
from nodegraph.engine.result import Result
from nodegraph.engine.splice import Gathered, Link, Splice, Splicer, awaited, split, value_of
from nodegraph.engine.task import LOST, Constant, State, Task
from nodegraph.engine.values import Values

if TYPE_CHECKING:
    from nodegraph.engine.folders import Folders

log = logging.getLogger(__name__)
MOST_WARNINGS: Final = 100
"""Of a node, that a result keeps."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes of a run share."""

    cancel: CancelToken
    folders: Folders | None
    emit: Emit | None
    check_mutation: bool
    answers: Answers
    strict: bool


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, surroundings: Surroundings, coroutines: Coroutines) -> None:
        self._plan, self._around, self._coroutines = plan, surroundings, coroutines
        self._demand = plan.demand
        self._namer: Namer = plan.demand.namer
        self._emit = surroundings.emit
        self._values = Values(surroundings.folders)
        self._made: set[str] = set()
        self._failures: dict[str, NodeError] = {}
        self._skipped: dict[str, str] = {}
        self._questions: dict[str, Question] = {}
        self._warnings: dict[str, list[str]] = {}
        self._timings: dict[str, float] = {}
        self._reused: list[str] = []
        self._watched: dict[str, tuple[Mapping[str, Any], Mapping[str, int]]] = {}

    def loop(self) -> Result:
        """Run everything that the plan asks for; return what came of it."""
        started = time.perf_counter()
        forget = self._around.cancel.listen(self._coroutines.wake)
        if self._emit is not None:
            self._emit(events.Running(None))
            for task in self._plan.waiting:
                self._emit(events.Queued(task.id, task.spec.id))
        try:
            cancelled = self._turn()
            if cancelled and self._emit is not None:
                for id in self._coroutines.running:
                    self._emit(events.Cancelled(id))
        finally:
            forget()
            self._coroutines.close()
        return self._result(cancelled, time.perf_counter() - started)

    def _turn(self) -> bool:
        """Go on until nothing is left to do; return whether the run was cancelled."""
        demand, cancel, running = self._demand, self._around.cancel, self._coroutines.running
        while not cancel.cancelled:
            if demand.reused or demand.skipped:
                self._tell()
            if running:
                self._collect(wait=not (demand.ready or demand.settled or demand.ready_async))
            if demand.settled:
                self._settle(demand.settled.popleft())
            elif demand.ready_async:
                self._start(demand.ready_async.popleft())
            elif demand.ready:
                self._start(demand.ready.popleft())
            elif not running:
                return False
        return True

    def _tell(self) -> None:
        """Report what was taken from the cache and what cannot run."""
        for task in self._demand.reused:
            self._reused.append(task.id)
            if self._emit is not None:
                self._emit(events.Cached(task.id, task.spec.id))
        for task in self._demand.skipped:
            self._skipped[task.id] = task.cause or ""
            if self._emit is not None:
                self._emit(events.Skipped(task.id, task.cause or ""))
        self._demand.reused.clear()
        self._demand.skipped.clear()

    def _start(self, task: Task) -> None:
        """Call the node of a task that is ready, or expand it into its items."""
        if task.state is not State.READY:
            return  # nobody wants it any more
        if (task.late or task.recipe in self._made) and self._found(task):
            return
        if not task.started:
            task.started = True
            if self._emit is not None:
                self._emit(events.Running(task.id, task.spec.id))
        task.state = State.RUNNING
        if task.instance.mapped:
            self._map(task)
            return
        try:
            inputs = inputs_of(task, self._values)
        except ValueError as misfit:
            self._fail(task, misfit)
            return
        if self._around.check_mutation:
            watched = {name: value for name, value in inputs.items() if name not in task.signature.lazy}
            self._watched[task.id] = (watched, fingerprints(watched))
        if task.spec.context is not None:
            inputs[task.spec.context] = self._context(task)
        if task.spec.is_async:
            self._coroutines.start(task, partial(task.spec.function, **inputs))
            return
        before = time.perf_counter()
        try:
            value, error = task.spec.function(**inputs), None
        except KeyboardInterrupt:  # the user's, not the node's
            self._cancelled(task)
            raise
        except BaseException as raised:  # noqa: BLE001 - whatever a node raises is its own failure
            value, error = None, raised
        self._ended(task, value, error, time.perf_counter() - before)

    def _found(self, task: Task) -> bool:
        """Look into the cache at the last moment, for what could not be known or was not there at plan time."""
        if task.late:
            wired = {}
            for port in task.signature.files:
                if port in task.links:
                    source, output = task.links[port]
                    wired[port] = (source.values or {})[output]
            task.late = False
            self._namer.finish_name(task, wired)
            if task.recipe is None:
                return False
            task.volatile, task.reason = False, ""
        entry = None if task.recipe is None or task.recipe[0] == FLEETING else self._demand.cache.get(task.recipe)
        if entry is not None:
            self._demand.adopt(task, entry)
        return entry is not None

    def _context(self, task: Task) -> Context:
        around = self._around
        return Context(
            task.id, recipe=task.recipe or "", settings=task.signature.settings, folders=around.folders,
            document=self._plan.graph.document, cancel=around.cancel, emit=self._emit,
            upstream=partial(ancestors, task), answers=around.answers, strict=around.strict,
            note=partial(self._warned, task.id),
        )  # fmt: skip

    def _warned(self, id: str, message: str) -> None:
        """Keep what a node warned of; the first of many are enough."""
        told = self._warnings.setdefault(id, [])
        if len(told) < MOST_WARNINGS:
            told.append(message)

    def _collect(self, *, wait: bool) -> None:
        """Take in what the coroutines have come to."""
        outcome = self._coroutines.outcome(wait=wait)
        while outcome is not None:
            self._ended(outcome.task, outcome.value, outcome.error, outcome.seconds)
            outcome = self._coroutines.outcome(wait=False)

    def _ended(self, task: Task, value: Any, error: BaseException | None, seconds: float) -> None:
        """Take in what the call of a node has come to: values, an expansion, a wish for a lazy input, a failure."""
        task.seconds += seconds
        if error is None:
            try:
                if self._around.check_mutation:
                    self._refuse_mutation(task)
                if type(value) is Expansion:
                    splice = Splicer(task, value, self._namer, self._demand.tasks.__contains__).splice()
                else:
                    splice, value = None, outputs_of(task.spec, value)
            except (MutationError, TypeError, ValueError, LookupError) as mistake:
                self._fail(task, mistake)
                return
            if splice is None:
                self._complete(task, value, task.seconds)
            else:
                self._expand(task, splice)
        elif isinstance(error, NotYet):
            self._pause(task, error.port)
        elif self._around.cancel.cancelled or isinstance(error, Cancelled):
            self._cancelled(task)
        elif isinstance(error, Waiting):
            self._ask(task, error)
        else:
            self._fail(task, error)

    def _refuse_mutation(self, task: Task) -> None:
        """Raise where a node changed an input, and forget the results that it changed."""
        watched, before = self._watched.pop(task.id)
        try:
            refuse_changes(watched, before)
        except MutationError:
            for source, _ in task.links.values():
                if source.recipe is not None and source.recipe in self._demand.cache:
                    del self._demand.cache[source.recipe]
            raise

    def _pause(self, task: Task, port: str) -> None:
        """Set a node aside until the lazy input that it asked for is there."""
        source = task.links[port][0]
        if source.state in LOST:
            self._demand.lose(task, source.cause or source.id)
            return
        task.state = State.WAITING
        if source.state is State.DONE:  # it was finished while the coroutine asked
            self._demand.wake(task)
            return
        source.await_by(task)
        self._demand.want([source])

    def _map(self, task: Task) -> None:
        try:
            splice = split(task, self._namer)
        except (TypeError, ValueError) as mistake:
            self._fail(task, mistake)
            return
        self._expand(task, splice)

    def _expand(self, task: Task, splice: Splice) -> None:
        """Put what a node expanded into among the tasks, and have it wait for what its outputs come from."""
        demand = self._demand
        demand.tasks.update((inner.id, inner) for inner in splice.tasks)
        task.splice, task.state = splice, State.EXPANDED
        wanted = awaited(splice)
        for inner in wanted:
            inner.holds += 1
            if inner.state in LOST:
                task.cause = inner.cause or inner.id
            elif inner.state is not State.DONE:
                inner.await_by(task)
        if task.waiting == 0:
            demand.settled.append(task)
        demand.want(wanted)

    def _settle(self, task: Task) -> None:
        """Give a node that expanded its outputs, now that all it waited for is done or lost."""
        splice, task.splice = task.splice, None
        if splice is None:
            return
        if task.cause is None:
            values, names, items = self._gather(splice)
            if task.recipe is None or any(name[0] == FLEETING for name in names.values()):
                task.names = names
            task.items = items or None
            cost = task.seconds + sum(inner.seconds for inner in splice.tasks)
            self._complete(task, values, cost)
        else:
            self._demand.skipped.append(task)
            self._demand.fail(task, State.SKIPPED)
        for inner in awaited(splice):
            self._demand.let_go(inner)

    def _gather(self, splice: Splice) -> tuple[Mapping[str, Any], Mapping[str, str], Mapping[str, tuple[str, ...]]]:
        """Return the values, names and item names of the outputs of an expansion."""
        values, names, items = {}, {}, {}
        for output, taken in splice.outputs.items():
            values[output] = value_of(taken)
            if isinstance(taken, Link):
                names[output] = taken.task.name(taken.output)
                inner = (taken.task.items or {}).get(taken.output)
            elif isinstance(taken, Constant):
                names[output], inner = taken.name, None
            elif isinstance(taken, Gathered):
                inner = tuple(link.task.name(link.output) for link in taken.links)
                fleeting = any(name[0] == FLEETING for name in inner)
                names[output] = self._namer.fleeting() if fleeting else f"[{digest(inner)}"
            else:
                names[output], inner = self._namer.result_names({output: taken.value})[output], None
            if inner is not None:
                items[output] = inner
        return values, names, items

    def _complete(self, task: Task, values: Mapping[str, Any], cost: float) -> None:
        """Store what a node gave, pass it on, and tell."""
        demand = self._demand
        task.values = values
        if task.fleeting and task.names is None:
            task.names = {output: self._namer.fleeting() for output in values}
        recipe = task.recipe
        if recipe is None:
            if task.names is None and task.read is not None and not task.signature.obstacle:
                task.names = self._names_by_reading(task)
        elif task.names is None and recipe[0] != FLEETING:
            self._made.add(recipe)
            self._store(recipe, Entry(values, cost, task.items or {}, task.spec.id))
        self._timings[task.id] = task.seconds
        if self._emit is not None:
            self._emit(events.Finished(task.id, task.seconds))
        task.seconds = cost
        demand.finish(task)

    def _store(self, recipe: str, entry: Entry) -> None:
        try:
            self._demand.cache[recipe] = entry
        except Exception:  # what a node returned is good, even if it cannot be kept
            log.exception("a result of %s cannot be cached", entry.type)

    def _names_by_reading(self, task: Task) -> Mapping[str, str] | None:
        """Name the outputs of a node by the lazy inputs that it did look at."""
        unread = task.signature.lazy - (task.read or set())
        try:
            text, fleeting = self._namer.text(task, unread=unread)
        except UncacheableError:
            return None
        recipe = fleeting + digest(["read", text])
        return {output: f"{recipe}.{output}" for output in task.spec.outputs}

    def _fail(self, task: Task, error: BaseException) -> None:
        """Note a failure, and skip what needs the node."""
        forget_frames(error)
        failure = NodeError(task.id, task.spec.id, message_of(error))
        failure.__cause__ = error
        self._failures[task.id] = failure
        self._timings[task.id] = task.seconds
        if self._emit is not None:
            self._emit(events.Failed(task.id, message_of(error), failure))
        self._demand.fail(task, State.FAILED)

    def _ask(self, task: Task, waiting: Waiting) -> None:
        """Note what a node asks, and leave out what needs the node; whatever else there is goes on."""
        self._watched.pop(task.id, None)
        self._questions[task.id] = Question(task.id, waiting.question, waiting.choices)
        if self._emit is not None:
            self._emit(events.Waiting(task.id, waiting.question, waiting.choices))
        self._demand.fail(task, State.ASKING)

    def _cancelled(self, task: Task) -> None:
        """Stop the run: the node saw that it was asked to, or asks for it."""
        self._around.cancel.cancel()
        if self._emit is not None:
            self._emit(events.Cancelled(task.id))

    def _result(self, cancelled: bool, seconds: float) -> Result:
        self._tell()
        tasks = self._demand.tasks
        if self._emit is not None:
            if cancelled:
                self._emit(events.Cancelled(None))
            elif self._failures:
                self._emit(events.Failed(None, "; ".join(str(error) for error in self._failures.values())))
            elif self._questions:
                self._emit(events.Waiting(None, "; ".join(asked.question for asked in self._questions.values())))
            else:
                self._emit(events.Finished(None, seconds))
        outputs = {}
        for name, source in self._plan.graph.outputs.items():
            task = tasks.get(source.node)
            if task is not None and source.node in self._plan.targets and task.values is not None:
                outputs[name] = task.values[source.output]
        reached = {target: tasks[target].values for target in self._plan.targets}
        return Result(
            outputs=outputs,
            nodes={target: values for target, values in reached.items() if values is not None},
            failures=self._failures, skipped=self._skipped, timings=self._timings,
            warnings={id: tuple(told) for id, told in self._warnings.items()},
            reused=tuple(self._reused), waiting=self._questions, cancelled=cancelled, seconds=seconds,
        )  # fmt: skip
