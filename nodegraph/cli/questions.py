"""`--answer`, and questions on the terminal: what nodes that ask a person get."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.engine.errors import Cancelled, Waiting
from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import Json

if TYPE_CHECKING:
    from nodegraph.cli.displays import Display
    from nodegraph.engine.context import CancelToken
    from nodegraph.engine.graph import Graph
    from nodegraph.engine.questions import Question


def known(answers: Sequence[tuple[str, str]], graph: Graph) -> None:
    """Refuse an answer to a node that the workflow does not have; raise `CommandError`."""
    for name, _ in answers:
        parts = name.split("/")  # what a node expands into has ids below its own
        if not any("/".join(parts[: count + 1]) in graph.nodes for count in range(len(parts))):
            near = nearest(name, graph.nodes)
            hint = f" (did you mean {near!r}?)" if near else ""
            raise CommandError(f"--answer {name}: the workflow has no such node{hint}", Exit.USAGE)


class Person(Mapping[str, str]):
    """What was answered on the command line, as texts by node; called, it asks on the terminal for the rest."""

    def __init__(
        self, answers: Sequence[tuple[str, str]], screen: Display, token: CancelToken, *, terminal: bool
    ) -> None:
        self._texts, self._screen, self._token, self._terminal = dict(answers), screen, token, terminal

    def __getitem__(self, node: str) -> str:
        return self._texts[node]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __call__(self, question: Question) -> Json:
        """Return the answer to a question; raise `Waiting` where nobody can be asked."""
        if question.node in self._texts:
            return meant(self._texts[question.node], question.choices)
        if not self._terminal:
            raise Waiting(question.node, question.question, question.choices)
        with self._screen.paused(), _interruptible():
            try:
                return _ask(question)
            except KeyboardInterrupt:
                self._token.cancel()
                raise Cancelled("cancelled at a question") from None


def meant(text: str, choices: Sequence[Json]) -> Json:
    """Return the choice that a text means, or where there are none its value: JSON, else the text as it is."""
    text = text.strip()
    if text in choices:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _ask(question: Question) -> Json:
    """Ask until the answer is one of the choices; raise `Waiting` where the input has ended."""
    texts = all(isinstance(choice, str) for choice in question.choices)
    sys.stderr.write(f"{question.node}: {question.question}\n")
    for number, choice in enumerate(question.choices, 1):
        sys.stderr.write(f"  {number}. {choice}\n" if texts else f"  {json.dumps(choice)}\n")
    while True:
        sys.stderr.write("> ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise Waiting(question.node, question.question, question.choices)
        answer = meant(line, question.choices)
        if not question.choices or answer in question.choices:
            return answer
        if texts and type(answer) is int and 1 <= answer <= len(question.choices):
            return question.choices[answer - 1]
        sys.stderr.write("one of the choices, please, as it is written\n")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C end the reading of a line, which a handler that returns does not."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
