"""Branches, loops and lists.

Loops repeat a subgraph of the workflow. Its inputs have fixed names: `item` or `state` is what changes from round to
round, `index` counts the rounds from 0, and `a`, `b`, `c`, `d` get what is wired to the loop's inputs of these names.
"""

from typing import Annotated, Any

from pydantic import Field

from nodegraph import Body, Expansion, Given, Item, Lazy, Multiline, Ref, Use, node

from . import rounds
from .rounds import SHARED

MOST_ROUNDS = 100_000


@node("If", category="control")
def if_(condition: bool, then: Lazy[Any], otherwise: Lazy[Any]) -> Any:
    """Give one of two inputs; what leads to the other does not run."""
    return then.get() if condition else otherwise.get()


@node("Switch", category="control")
def switch(
    select: Annotated[int, Field(ge=0, le=3)],
    a: Lazy[Any] | None = None,
    b: Lazy[Any] | None = None,
    c: Lazy[Any] | None = None,
    d: Lazy[Any] | None = None,
) -> Any:
    """Give the input of this number, counted from 0; what leads to the others does not run."""
    chosen = (a, b, c, d)[select]
    if chosen is None:
        raise ValueError(f"select is {select}, but nothing is wired to `{SHARED[select]}`")
    return chosen.get()


@node("ForEach", category="control")
def for_each(
    items: list[Any], body: Body, a: Any = None, b: Any = None, c: Any = None, d: Any = None
) -> list[Any] | Expansion:
    """Run a subgraph for each item of a list and give the list of what it gave.

    The subgraph takes `item`, and if it likes `index`, `a`, `b`, `c`, `d`; it gives `out`, or has one output alone.
    """
    _refuse_unknown(body, "item")
    output = _output(body, "out")
    uses = {
        str(index): Use(body, rounds.inputs(body, {"item": Item("items", index), "index": index}))
        for index in range(len(items))
    }
    return Expansion(uses, {"out": [Ref(name, output) for name in uses]})


@node("Repeat", category="control")
def repeat(
    times: Annotated[int, Field(ge=0, le=MOST_ROUNDS)],
    body: Body,
    initial: Any = None,
    a: Any = None,
    b: Any = None,
    c: Any = None,
    d: Any = None,
) -> Expansion:
    """Run a subgraph a number of times, each round on what the one before gave.

    The subgraph takes `state`, and if it likes `index`, `a`, `b`, `c`, `d`; it gives `state`, or has one output alone.
    """
    _refuse_unknown(body, "state")
    output = _output(body, "state")
    state: object = Given("initial")
    uses: dict[str, Use] = {}
    for index in range(times):
        uses[str(index)] = Use(body, rounds.inputs(body, {"state": state, "index": index}))
        state = Ref(str(index), output)
    return Expansion(uses, {"out": state})


@node("Loop", category="control")
def loop(
    body: Body,
    initial: Any = None,
    limit: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 1000,
    a: Any = None,
    b: Any = None,
    c: Any = None,
    d: Any = None,
) -> Expansion:
    """Run a subgraph, each round on what the one before gave, as long as its output `again` is yes.

    The subgraph takes `state`, and if it likes `index`, `a`, `b`, `c`, `d`; it gives `state` and `again`. More rounds
    than `limit` are an error.
    """
    _refuse_unknown(body, "state")
    for name in ("state", "again"):
        _output(body, name, alone=False)
    return rounds.first(body)


@node("Collect", category="control/list")
def collect(a: Any = None, b: Any = None, c: Any = None, d: Any = None) -> list[Any]:
    """Put values into one list, in the order of the inputs; the items of lists are put into it one by one."""
    given = [value for value in (a, b, c, d) if value is not None]
    return [item for value in given for item in (value if isinstance(value, list) else [value])]


@node("ListItem", category="control/list")
def list_item(items: list[Any], index: int = 0) -> Any:
    """Give an item of a list, counted from 0, or from the end with -1, -2 and so on."""
    if not -len(items) <= index < len(items):
        raise ValueError(f"index is {index}, but the list has {len(items)} items")
    return items[index]


@node("ListLength", category="control/list")
def list_length(items: list[Any]) -> int:
    """Count the items of a list."""
    return len(items)


@node("ListSlice", category="control/list")
def list_slice(items: list[Any], start: int = 0, stop: int | None = None) -> list[Any]:
    """Give the items from `start` to before `stop`, or to the end."""
    return items[start:stop]


@node("Range", category="control/list")
def range_(
    start: int = 0,
    stop: int = 10,
    step: Annotated[int, Field(ge=-MOST_ROUNDS, le=MOST_ROUNDS)] = 1,
) -> list[int]:
    """Give the whole numbers from `start` to before `stop`; wired to a number input, the node there runs for each."""
    if step == 0:
        raise ValueError("step is 0, expected a number above or below")
    numbers = range(start, stop, step)
    if numbers[MOST_ROUNDS:]:  # unlike its length, a part of a range can be asked for at any size
        raise ValueError(f"the range from {start} to {stop} has more than {MOST_ROUNDS} numbers, the most allowed")
    return list(numbers)


@node("TextLines", category="control/list")
def text_lines(text: Annotated[str, Multiline()], skip_empty: bool = True) -> list[str]:
    """Give the lines of a text, such as one prompt a line; wired to a text input, the node there runs for each."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line or not skip_empty]


def _refuse_unknown(body: Body, carried: str) -> None:
    """Raise where a subgraph needs an input that loops do not give, or does not take what changes in each round."""
    known = (carried, "index", *SHARED)
    strange = [name for name, port in body.inputs.items() if name not in known and port.required]
    if strange:
        raise ValueError(f"the subgraph {body.name!r} needs {strange}; here it can get {', '.join(known)}")


def _output(body: Body, name: str, *, alone: bool = True) -> str:
    """Return the output that carries the result: `name`, or the only one there is."""
    if name in body.outputs:
        return name
    if alone and len(body.outputs) == 1:
        return next(iter(body.outputs))
    raise ValueError(f"the subgraph {body.name!r} gives {list(body.outputs)}, expected {name!r} among them")
