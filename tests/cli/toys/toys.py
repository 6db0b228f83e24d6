"""A plugin of toy nodes: quick, slow, failing, saving."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from nodegraph import Context, hookimpl, node


@node("toys.Add", title="Add", category="toys/numbers")
def add(a: int, b: Annotated[int, Field(ge=0, le=100)] = 1) -> int:
    """Add two whole numbers.

    The second is small.
    """
    return a + b


@node("toys.Say", category="toys")
def say(text: str, mood: Literal["calm", "loud"] = "calm", times: int | None = None) -> str:
    """Say something."""
    said = text.upper() if mood == "loud" else text
    return said * (times or 1)


@node("toys.Noise", category="toys")
def noise(seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0) -> int:
    """Give the seed back."""
    return seed


@node("toys.Fail", category="toys")
def fail(number: int) -> int:
    """Fail."""
    raise ValueError(f"{number} is too odd")


@node("toys.Chatty", category="toys", cache=False)
def chatty(number: int) -> int:
    """Print something, as libraries do."""
    print("chatter")  # noqa: T201 - what stdout must be kept clean of
    return number


@node("toys.Slow", category="toys")
def slow(context: Context, steps: Annotated[int, Field(ge=1)] = 3, seconds: float = 0.0) -> int:
    """Take some steps."""
    for step in range(steps):
        context.progress(step + 1, steps)
        time.sleep(seconds)
    return steps


@node("toys.Save", category="toys", output=True)
def save(context: Context, value: int, name: str = "number.txt") -> None:
    """Save a number."""
    folder = context.folders.roots("output")[0]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(str(value), encoding="utf-8")
    context.output(path)


@node("toys.Old", category="toys", aliases=("toys.Older",), deprecated="use toys.Add")
def old(a: int) -> int:
    """Do what toys.Add does."""
    return a


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the nodes."""
    return [add, say, noise, fail, chatty, slow, save, old]
