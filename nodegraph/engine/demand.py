"""Who needs what: the worklists that `executor` tells of. Nothing here runs a node.

A result is asked for by `want`. If it has a recipe and the cache has it, it is taken out and what is upstream is never
asked for. Else its strict sources are asked for, and the task waits. Every input that may still be read counts as a
hold on its source, lazy ones too, so that a result lives until its last reader has run or can no longer want it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping

from nodegraph.engine.cache import Entry
from nodegraph.engine.naming import Namer
from nodegraph.engine.recipe import FLEETING
from nodegraph.engine.task import FINAL, LOST, PENDING, State, Task


class Demand:
    """The tasks of one run, and what is asked of them."""

    def __init__(self, cache: MutableMapping[str, Entry], namer: Namer) -> None:
        self.cache, self.namer = cache, namer
        self.tasks: dict[str, Task] = {}
        self.ready: deque[Task] = deque()
        """Tasks whose inputs are there; what became ready last runs first, so that branches are finished in turn."""
        self.ready_async: deque[Task] = deque()
        """Such tasks that are coroutines: they start at once and go on beside the others."""
        self.settled: deque[Task] = deque()
        """Tasks that expanded, and all that they wait for is done or lost."""
        self.reused: list[Task] = []
        """Hits that nobody has been told of yet."""
        self.skipped: list[Task] = []
        """Tasks that cannot run, nobody told yet."""

    def want(self, tasks: Iterable[Task]) -> None:
        """Ask for results: take them from the cache, or have them made."""
        fresh: list[Task] = []
        stack = list(tasks)
        stack.reverse()
        while stack:
            task = stack.pop()
            if task.state is not State.IDLE or task.holds == 0:
                continue
            recipe = task.recipe
            if recipe is None:
                if not task.volatile:
                    self._want_name(task, stack)
                    continue
            elif recipe[0] != FLEETING:
                entry = self.cache.get(recipe)
                if entry is not None:
                    self.adopt(task, entry)
                    continue
            if self._await_sources(task, stack) and task.waiting == 0:
                task.state = State.READY
                if task.spec.is_async:
                    self.ready_async.append(task)
                else:
                    fresh.append(task)
        self.ready.extendleft(reversed(fresh))

    def _await_sources(self, task: Task, stack: list[Task]) -> bool:
        """Have a task wait for its strict sources, and put those on the stack; return False where one is lost."""
        task.state = State.WAITING
        lazy = task.signature.lazy
        first, lost = len(stack), ""
        touch = not task.counted
        task.counted = True
        for port, (source, _) in task.links.items():
            if touch:
                source.holds += 1
            if port in lazy and task.is_lazy(port):
                if touch and not source.counted:
                    self.count(source)
                continue
            state = source.state
            if state is State.DONE:
                continue
            if state in LOST:
                lost = source.cause or source.id
            else:
                source.await_by(task)
                if state is State.IDLE:
                    stack.insert(first, source)
        if lost:
            self.lose(task, lost)
        return not lost

    def count(self, task: Task) -> None:
        """Count the inputs of a task that may yet be asked for, and those of all that it may ask for."""
        stack = [task]
        while stack:
            task = stack.pop()
            if task.counted or task.state in FINAL:
                continue
            task.counted = True
            for source, _ in task.links.values():
                source.holds += 1
                stack.append(source)

    def _want_name(self, task: Task, stack: list[Task]) -> None:
        """Ask for the names that a task's recipe waits for; the task itself is asked for again when it has one."""
        task.state = State.NAMING
        if not task.counted:
            self.count(task)
        pending = [task]
        while pending:
            named = pending.pop()
            for port, (source, _) in named.links.items():
                if source.named or named.is_lazy(port):
                    continue
                if source.state in LOST:
                    self.lose(named, source.cause or source.id)
                    break
                if source.volatile:
                    stack.append(source)
                elif not source.naming:
                    source.naming = True
                    pending.append(source)

    def adopt(self, task: Task, entry: Entry) -> None:
        """Take a result from the cache."""
        task.values, task.items, task.seconds = entry.values, entry.items or None, entry.cost
        task.hit = True
        self.reused.append(task)
        self.finish(task)

    def finish(self, task: Task) -> None:
        """Move a task whose values are set to done: tell who waits for it and let go of what it read."""
        task.state = State.DONE
        if task.recipe is None and task.names is None:
            task.names = self.namer.result_names(task.values or {})
        if task.namers is not None:
            self.name_readers(task)
        if task.waiters is not None:
            for waiter in task.waiters:
                waiter.waiting -= 1
                if waiter.waiting == 0:
                    self.wake(waiter)
            task.waiters = None
        if task.counted:
            self.release(task)
        if task.holds == 0:
            task.values = None

    def wake(self, task: Task) -> None:
        """Have a task go on that waits for nothing any more."""
        if task.state is State.WAITING:
            task.state = State.READY
            if task.spec.is_async:
                self.ready_async.append(task)
            else:
                self.ready.appendleft(task)
        elif task.state is State.EXPANDED:
            self.settled.append(task)

    def release(self, task: Task) -> None:
        """Let go of what a task could read; drop results that nobody can read any more."""
        stack = [task]
        while stack:
            task = stack.pop()
            if not task.counted:
                continue
            task.counted = False
            for source, _ in task.links.values():
                source.holds -= 1
                if source.holds == 0:
                    self._drop(source, stack)

    def let_go(self, task: Task) -> None:
        """Take one hold off a result."""
        task.holds -= 1
        if task.holds == 0:
            stack: list[Task] = []
            self._drop(task, stack)
            for dropped in stack:
                self.release(dropped)

    def _drop(self, task: Task, stack: list[Task]) -> None:
        """Forget a result that nobody can read any more, or the wish for it."""
        if task.state is State.DONE:
            task.values = None
        elif task.state in PENDING:
            if task.state is not State.IDLE:
                task.state = State.DROPPED
            stack.append(task)

    def name_readers(self, task: Task) -> None:
        """Pass on that a task's outputs have names: give recipes to the tasks that waited for it, and so on."""
        stack, wanted = [task], []
        while stack:
            task = stack.pop()
            namers, task.namers = task.namers, None
            for reader in namers or ():
                reader.unnamed -= 1
                if reader.unnamed or reader.volatile or reader.recipe is not None:
                    continue
                self.namer.finish_name(reader)
                if reader.recipe is not None:
                    stack.append(reader)
                if reader.state is State.NAMING or (reader.volatile and reader.naming and reader.state is State.IDLE):
                    reader.state = State.IDLE
                    wanted.append(reader)
        if wanted:
            self.want(wanted)

    def lose(self, task: Task, because: str) -> None:
        """Skip a task that needs something that has failed, and all that needs it; what expanded waits for the rest."""
        stack = [(task, because)]
        while stack:
            task, because = stack.pop()
            if task.state in FINAL:
                continue
            task.cause = because
            if task.state is State.EXPANDED:
                continue
            task.state = State.SKIPPED
            self.skipped.append(task)
            stack.extend((reader, because) for reader in self._bereave(task))

    def fail(self, task: Task, state: State) -> None:
        """Move a task to a state without a result, and skip all that needs it."""
        task.state = state
        for reader in self._bereave(task):
            self.lose(reader, task.cause or task.id)

    def _bereave(self, task: Task) -> list[Task]:
        """Take a task without a result off the lists; return the tasks that now cannot run."""
        if task.counted:
            self.release(task)
        lost = [reader for reader in task.namers or () if reader.state is State.NAMING or reader.naming]
        for waiter in task.waiters or ():
            waiter.waiting -= 1
            if waiter.state is State.EXPANDED:
                waiter.cause = waiter.cause or task.cause or task.id
                if waiter.waiting == 0:
                    self.settled.append(waiter)
            else:
                lost.append(waiter)
        task.waiters = task.namers = None
        return lost
