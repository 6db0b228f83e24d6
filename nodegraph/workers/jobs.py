"""One job after the other: a workflow with its inputs and folders in, what became of it out."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.explain import History
from nodegraph.engine.graph import Graph
from nodegraph.engine.jsontext import Limits, json_problems
from nodegraph.engine.plan import default_targets
from nodegraph.engine.result import Result
from nodegraph.outputs import Outputs
from nodegraph.workers.channel import Channel
from nodegraph.workers.checking import Checks, graph_of, load
from nodegraph.workers.foresight import Histories, foresee
from nodegraph.workers.memory import free_words, release
from nodegraph.workers.previews import Previews
from nodegraph.workers.setup import input_folders, open_runtime, redactor
from nodegraph.workers.telling import Teller
from nodegraph.workers.tiny_previews import TinyPreviews

log = logging.getLogger(__name__)
Json = Any
LONGEST_VALUE: Final = 64 * 1024
"""Bytes, as JSON, of a plain value that a job gives."""
MOST_VALUES: Final = 100
KINDS: Final = ("output", "temp")


class Jobs:
    """Runs jobs with what they share: plugins, the cache of results, previews."""

    def __init__(self, config: Mapping[str, Any], channel: Channel) -> None:
        self._config, self._channel = config, channel
        self._runtime = open_runtime(config, channel)
        self._limits = Limits(nodes=config["nodes"], depth=config["depth"])
        self._redact = redactor(config)
        tiny = TinyPreviews(self._runtime.folders, config["device"], config.get("preview", "auto"))
        self.previews = Previews(channel, self._runtime.plugins.manager.hook.encode_preview, tiny)
        self.histories = Histories()

    def run(self, params: Mapping[str, Any], document: bytes, cancel: CancelToken) -> dict[str, Json]:
        """Run a job and return what became of it: `state`, `nodes`, `failure`, `questions`, `values`, ..."""
        folders = {kind: Path(params["folders"][kind]) for kind in KINDS}
        redact = self._redact.knowing({kind: [path] for kind, path in folders.items()})
        started = time.perf_counter()
        try:
            graph, places = self._graph(params, document)
        except WorkflowError as error:
            problems = Checks(self._runtime, redact, self._limits).problems(error.problems)
            message = problems[0]["message"] if len(problems) == 1 else f"the workflow has {len(problems)} problems"
            failure = {"code": "invalid", "message": message, "node": error.problems[0].node, "problems": problems}
            return _outcome("failed", time.perf_counter() - started, failure=failure)
        types = {id: instance.spec.id for id, instance in graph.nodes.items()}
        teller = Teller(params["job"], self._channel, self.previews, redact, folders, types)
        run = _Run(self, params, graph, places, teller, cancel)
        self.previews.on = bool(params.get("previews", self.previews.on))
        try:
            outcome = run.result()
        finally:
            self.previews.forget(params["job"])
        outcome["seconds"] = time.perf_counter() - started
        return outcome

    def _graph(self, params: Mapping[str, Any], document: bytes) -> tuple[Graph, dict[str, list[Path]]]:
        given = params["folders"]
        places = {kind: [Path(given[kind])] for kind in KINDS if kind in given}
        places["input"] = input_folders(given["input"])
        folders = self._runtime.folders.placed(places)
        workflow = load(self._runtime, document, self._limits)
        targets = params.get("targets") or ()
        graph = graph_of(self._runtime, workflow, params.get("inputs") or {}, targets, folders, self._limits)
        return graph if targets else replace(graph, targets=default_targets(graph)), places

    def plan(self, params: Mapping[str, Any], document: bytes) -> list[dict[str, Json]]:
        """Tell what a run would do with each node, and why; any thread may ask, while a job runs too."""
        graph, places = self._graph(params, document)
        decisions = foresee(self._runtime, graph, places, self.histories.of(params.get("user") or ""))
        return [{**asdict(decision), "reason": self._redact(decision.reason)} for decision in decisions]

    def problems(self, error: WorkflowError) -> list[dict[str, Json]]:
        """Return what is wrong with a workflow as it stands on the wire."""
        return Checks(self._runtime, self._redact, self._limits).problems(error.problems)

    def attempt(
        self,
        graph: Graph,
        targets: tuple[str, ...],
        places: Mapping[str, list[Path]],
        answers: Mapping[str, Json],
        teller: Teller,
        cancel: CancelToken,
        history: History,
    ) -> Outputs:
        """Run a graph once."""
        return self._runtime.run(
            graph, emit=teller, cancel=cancel, targets=targets, answers=answers, folders=places, history=history
        )

    def release(self) -> list[str]:
        """Give back the memory of results; return in words what was done."""
        return release(self._runtime.executor.cache)

    def free_words(self) -> str:
        """Return in words how much memory is free."""
        return free_words(self._config["device"])


class _Run:
    """The attempts of one job: the second only where the first lacked memory."""

    def __init__(
        self,
        jobs: Jobs,
        params: Mapping[str, Any],
        graph: Graph,
        places: Mapping[str, list[Path]],
        teller: Teller,
        cancel: CancelToken,
    ) -> None:
        self._jobs, self._graph, self._places = jobs, graph, places
        self._teller, self._cancel = teller, cancel
        self._answers: Mapping[str, Json] = params.get("answers") or {}
        self._history = jobs.histories.of(params.get("user") or "")
        self._values: dict[str, Json] = {}
        self._tried: list[str] = []

    def result(self) -> dict[str, Json]:
        """Run and return what became of the job."""
        result = self._attempt(self._graph.targets)
        if self._teller.exhausted is not None and not self._cancel.cancelled:
            self._tried = [*self._jobs.release(), "ran it again"]
            self._teller.again()
            done = {node for node, told in self._teller.nodes.items() if told["state"] == "finished"}
            result = self._attempt(tuple(target for target in self._graph.targets if target not in done))
        return self._outcome(result)

    def _attempt(self, targets: tuple[str, ...]) -> Result | None:
        """Run once; return None where what a node raised ended the whole run, as KeyboardInterrupt does."""
        teller = self._teller
        try:
            outputs = self._jobs.attempt(
                self._graph, targets, self._places, self._answers, teller, self._cancel, self._history
            )
        except BaseException as error:  # noqa: BLE001 - whatever it is, the job has an end and the worker goes on
            teller.broke(error)
            return None
        self._values |= plain_values(outputs)
        return outputs.result

    def _outcome(self, result: Result | None) -> dict[str, Json]:
        teller = self._teller
        failure = teller.failure
        if failure is not None and failure["code"] == "out_of_memory":
            failure = {**failure, "message": self._lack(failure["message"])}
        questions: list[dict[str, Json]] = []
        if result is None:
            state = "failed"
        elif result.cancelled:
            state, failure = "cancelled", None
        elif result.failures:
            state = "failed"
        elif result.waiting:
            state = "waiting"
            questions = [
                {"node": asked.node, "question": asked.question, "choices": list(asked.choices), "outputs": []}
                for asked in result.waiting.values()
            ]
        else:
            state = "done"
        return _outcome(
            state, 0.0, failure=failure, questions=questions, nodes=list(teller.nodes.values()),
            memory=teller.peaks, values=self._values, tried=self._tried,
        )  # fmt: skip

    def _lack(self, message: str) -> str:
        """Return what to tell of a lack of memory: what was needed, what there is, what was tried."""
        parts = [f"there was not enough memory: {message}", self._jobs.free_words()]
        parts.append(f"tried: {', '.join(self._tried)}" if self._tried else "")
        return "; ".join(part for part in parts if part)


def plain_values(outputs: Outputs) -> dict[str, Json]:
    """Return what of a run's outputs is plain JSON of bounded size; a long text is cut."""
    found: dict[str, Json] = {}
    for name, value in outputs.items():
        if len(found) >= MOST_VALUES:
            break
        if isinstance(value, str):
            found[name] = value[:LONGEST_VALUE].encode("utf-8", "replace").decode()
        elif _is_plain(value):
            found[name] = value
    return found


def _is_plain(value: object) -> bool:
    if not (isinstance(value, (bool, int, float, list, dict)) or value is None):
        return False
    return next(json_problems(value, 50), None) is None and len(json.dumps(value)) <= LONGEST_VALUE


def _outcome(state: str, seconds: float, **more: Json) -> dict[str, Json]:
    empty: dict[str, Json] = {"nodes": [], "memory": {}, "failure": None, "questions": [], "values": {}, "tried": []}
    return {**empty, "state": state, "seconds": seconds, **more}
