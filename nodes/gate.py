"""Questions to a person: the branch waits for the answer, and the rest of the workflow goes on."""

from typing import Annotated, Any, NamedTuple

from nodegraph import Cancelled, Context, Expansion, Given, Multiline, Ref, Use, node
from nodegraph.diffusion.values import Image

from . import picks, saving

STOP = "stop"


class Passed(NamedTuple):
    """What passed the gate, and what was answered."""

    out: Any
    choice: str


class Chosen(NamedTuple):
    """The pictures that were chosen, and their places in the batch, counted from 0."""

    images: Image
    indexes: list[int]


@node("Gate", category="control", cache=False)
def gate(
    context: Context,
    value: Any,
    question: str = "Go on?",
    choices: Annotated[str, Multiline()] = f"go on\n{STOP}",
) -> Passed | Expansion:
    """Pass a value on once a person has chosen; a picture is shown meanwhile.

    `choices` has one a line, and `choice` gives the one that was chosen, for a `Switch` or `If` to go by; the choice
    `stop` cancels the run.
    """
    lines = [line.strip() for line in choices.splitlines() if line.strip()]
    if not lines:
        raise ValueError("choices is empty, expected at least one line")
    if isinstance(value, Image) and not context.answered:
        saving.preview_image(context, value)
    choice = context.ask(question, lines)
    if choice == STOP:
        raise Cancelled(f"the answer to {question!r} was {STOP!r}")
    return Expansion({}, {"out": Given("value"), "choice": choice})


@node("ChooseImage", category="control", cache=False)
def choose_image(
    context: Context, images: Image, question: str = "Which picture?", several: bool = False
) -> Chosen | Expansion:
    """Let a person choose a picture of a batch; the pictures are shown meanwhile.

    The answer is the picture's place in the batch, counted from 0; with `several`, a list of places.
    """
    count = len(images.pixels)
    if not context.answered:
        saving.preview_image(context, images)
    told = f"{question} (a list of numbers from 0 to {count - 1})" if several else question
    answer = context.ask(told, () if several else range(count))
    indexes = _indexes(answer, count) if several else [answer]
    pick = Use(picks.pick, {"images": Given("images"), "indexes": indexes})
    return Expansion({"pick": pick}, {"images": Ref("pick"), "indexes": indexes})


def _indexes(answer: Any, count: int) -> list[int]:
    given = answer if isinstance(answer, list) else [answer]
    if not given or any(type(index) is not int or not 0 <= index < count for index in given):
        raise ValueError(f"the answer is {answer!r}, expected a list of numbers from 0 to {count - 1}")
    return given
