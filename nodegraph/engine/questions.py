"""Questions that nodes put to a person, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from nodegraph.engine.errors import Waiting
from nodegraph.engine.spec import Json


@dataclass(frozen=True, slots=True)
class Question:
    """What a node wants to know before it goes on."""

    node: str
    question: str
    choices: tuple[Json, ...] = ()
    """What may be answered; empty: any JSON value."""


Answers = Mapping[str, Json] | Callable[[Question], Json]
"""Answers by node, or a function that finds one at once and raises `Waiting` where there is none yet."""
NO_ANSWERS: Final[Mapping[str, Json]] = MappingProxyType({})


def answer(answers: Answers, question: Question) -> Json:
    """Return the answer to a question; raise `Waiting` where there is none, `ValueError` for one that does not fit."""
    if callable(answers):
        given = answers(question)
    elif question.node in answers:
        given = answers[question.node]
    else:
        raise Waiting(question.node, question.question, question.choices)
    if question.choices and not any(_same(given, choice) for choice in question.choices):
        choices = ", ".join(map(repr, question.choices))
        raise ValueError(f"the answer to {question.question!r} is {given!r}; expected one of {choices}")
    return given


def _same(given: Json, choice: Json) -> bool:
    return bool(given == choice) and isinstance(given, bool) == isinstance(choice, bool)  # 1 is not True here
