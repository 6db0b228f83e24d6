"""The executor: a graph in, results out.

Policy, before any code:

1. **Names.** A result is named by its recipe: the hash of its node's type and versions, its parameters, its sources'
   names, the identities of the files that it reads and the settings that it declares (`recipe`, `naming`). Ids of nodes
   are no part of it: renaming and moving keep results, and equal nodes share one. What has no recipe runs each time and
   is not stored: `cache=False`, sinks (`output=True`: what they wrote may be gone), parameters without a canonical
   form. Such a result is named by its value where that is plain data, so that what reads it can still be reused; else
   by a fleeting name, and nothing made from it is stored.
2. **Plan.** From the targets back: a result that the cache has is taken out now and held, so that eviction during the
   run breaks nothing, and what is upstream of it is not even asked for. Anything else asks for its sources (`demand`).
   What only a run can tell is planned during the run by the same rules: the recipes of what reads a node that runs each
   time, the branch that a lazy input asks for, what an expansion put in.
3. **Loop.** Take a task whose inputs are there, call its node, store, pass on, tell (`run`). What became ready last
   runs first: a branch is finished before the next is begun. Coroutines start as soon as they can and go on beside the
   other nodes, on the caller's event loop (`run_async`) or on one in a thread (`run`). Nothing recurses: a chain of any
   length, a loop of any number of rounds and switches behind switches take the same stack.
4. **Release.** Every input that may still read a result is a hold on it. The result is dropped when its last reader
   has run or has become impossible; targets keep theirs. The cache holds what it holds by its own budget.
5. **Lists.** A node mapped over a list becomes one task an item (`node/0`, `node/1`, ...), each with a recipe of its
   own, so that one item more runs one item more. Lists go in step, and one of one item goes with any.
6. **Lazy inputs.** The node gets a handle. Where the value is not there, the call ends inside `get()`, the branch runs,
   and the node is called again from its beginning; so a node asks before it does anything else.
7. **Expansion.** A node may answer with nodes to run; they become tasks like any (`splice`), and their results its own.
   Its recipe names the expansion too: a body's content is part of it; for node types that it uses by itself, its
   plugin's version answers.
8. **Failure.** What needs a failed node is skipped and named; everything else goes on. A node that expanded waits for
   the rest of its tasks, so that what they made is in the cache for the next run.
9. **Questions.** A node that asks (`Context.ask`) and has no answer ends there: what needs it is skipped, everything
   else goes on, and the result tells what is asked. A later run has the answer and the results made so far.
10. **Cancel.** Looked at between tasks and in each `Context.progress`; coroutines are cancelled. What is done stays
   stored, and the result tells how far the run came.
11. **Read-only inputs.** With `check_mutation` a node that changes an input fails by name; it is slow, for development.

An executor runs one graph at a time; its cache may be shared by threads. Listeners (`emit`) are called from the thread
that runs the node; what they raise is logged.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING

from nodegraph.engine.cache import Entry
from nodegraph.engine.call import forget_frames
from nodegraph.engine.context import CancelToken, Emit
from nodegraph.engine.coroutines import Coroutines
from nodegraph.engine.events import Event
from nodegraph.engine.explain import History
from nodegraph.engine.graph import Graph
from nodegraph.engine.naming import Namer
from nodegraph.engine.plan import Plan, default_targets, make_plan
from nodegraph.engine.questions import NO_ANSWERS, Answers
from nodegraph.engine.result import Result
from nodegraph.engine.run import Run, Surroundings
from nodegraph.engine.spec import Json

if TYPE_CHECKING:
    from nodegraph.engine.folders import Folders

__all__ = ["CancelToken", "Executor", "Plan", "Result"]

log = logging.getLogger(__name__)


class Executor:
    """Plans and runs graphs.

    `cache` is any mutable mapping from recipes to entries; `settings` are told to nodes and join the recipes of those
    that declare them; `emit` receives each event; `history` remembers what nodes were made of, for `Plan.explain`.
    `strict` makes a failure of whatever a node warns of.
    """

    def __init__(
        self,
        cache: MutableMapping[str, Entry] | None = None,
        *,
        settings: Mapping[str, Json] | None = None,
        folders: Folders | None = None,
        emit: Emit | None = None,
        check_mutation: bool = False,
        strict: bool = False,
        history: History | None = None,
    ) -> None:
        self.cache: MutableMapping[str, Entry] = {} if cache is None else cache
        self.settings: Mapping[str, Json] = {} if settings is None else settings
        self.folders, self.emit, self.check_mutation, self.strict = folders, emit, check_mutation, strict
        self.history = History() if history is None else history

    def plan(self, graph: Graph, targets: Collection[str] | None = None) -> Plan:
        """Return what is to be done for `targets` (None: all that a run of the graph must reach)."""
        chosen = default_targets(graph) if targets is None else tuple(targets)
        return make_plan(graph, chosen, self.cache, Namer(self.settings, self.folders), self.history)

    def within(self, folders: Folders, history: History | None = None) -> Executor:
        """Return an executor over other folders, and perhaps with another history, that shares everything else."""
        known = self.history if history is None else history
        return Executor(
            self.cache, settings=self.settings, folders=folders, emit=self.emit,
            check_mutation=self.check_mutation, strict=self.strict, history=known,
        )  # fmt: skip

    def over(self, cache: MutableMapping[str, Entry]) -> Executor:
        """Return an executor over another cache that shares everything else."""
        return Executor(
            cache, settings=self.settings, folders=self.folders, emit=self.emit,
            check_mutation=self.check_mutation, strict=self.strict, history=self.history,
        )  # fmt: skip

    def run(
        self,
        what: Plan | Graph,
        cancel: CancelToken | None = None,
        *,
        emit: Emit | None = None,
        answers: Answers = NO_ANSWERS,
    ) -> Result:
        """Run a plan, or a graph's own targets; failures are in the result, `Result.check` raises them.

        `emit` receives this run's events instead of the executor's listener; `answers` are what nodes that ask get.
        """
        return self._run(what, cancel or CancelToken(), Coroutines(), emit, answers)

    async def run_async(
        self,
        what: Plan | Graph,
        cancel: CancelToken | None = None,
        *,
        emit: Emit | None = None,
        answers: Answers = NO_ANSWERS,
    ) -> Result:
        """Run as `run` does, beside the running event loop: async nodes on it, all others in a thread."""
        token = cancel or CancelToken()
        loop = asyncio.get_running_loop()
        call = contextvars.copy_context().run
        running = loop.run_in_executor(None, call, self._run, what, token, Coroutines(loop), emit, answers)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            token.cancel()
            await running
            raise

    def _run(
        self, what: Plan | Graph, cancel: CancelToken, coroutines: Coroutines, emit: Emit | None, answers: Answers
    ) -> Result:
        plan = self.plan(what) if isinstance(what, Graph) else what
        if plan.used:
            plan = self.plan(plan.graph, plan.targets)
        plan.used = True
        listener = emit or self.emit
        careful = None if listener is None else _careful(listener)
        around = Surroundings(cancel, self.folders, careful, self.check_mutation, answers, self.strict)
        try:
            result = Run(plan, around, coroutines).loop()
            for failure in result.failures.values():
                forget_frames(failure)  # those of the run itself have ended only now
            return result
        finally:
            self.history.record(plan.demand.tasks.values())


def _careful(emit: Emit) -> Emit:
    """Return a listener that never stops a run."""

    def tell(event: Event) -> None:
        try:
            emit(event)
        except Exception:
            log.exception("a listener failed on %r", event)

    return tell
