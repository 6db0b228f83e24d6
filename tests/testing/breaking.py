"""Nodes that break one promise each, for the tests of the contract."""

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nodegraph import Cancelled, Choices, Context, Step, node
from nodegraph.diffusion.values import Image


@node("bad.NoDoc", category="bad")
def no_doc(number: int) -> int:
    return number


@node("NoNamespace", category="bad")
def no_namespace(number: int) -> int:
    """Give a number."""
    return number


@node("bad.Nothing", category="bad")
def nothing(number: int) -> None:
    """Give nothing, and be no sink."""


@node("bad.Default", category="bad")
def wrong_default(number: Annotated[int, Field(ge=1, le=4)] = 9) -> int:
    """Have a default out of bounds."""
    return number


@node("bad.Bounds", category="bad")
def crossed_bounds(number: Annotated[int, Field(ge=9, le=4)]) -> int:
    """Have bounds that cross."""
    return number


@node("bad.Step", category="bad")
def large_step(number: Annotated[int, Field(ge=0, le=4), Step(8)] = 0) -> int:
    """Have a step that leads out of the bounds at once."""
    return number


@node("bad.Choice", category="bad")
def wrong_choice(name: Annotated[str, Choices(lambda: ("a", "b"))] = "c") -> str:
    """Have a default that is no choice."""
    return name


@node("bad.Type", category="bad")
def wrong_type(number: int) -> str:
    """Give a number as a text."""
    return number  # type: ignore[return-value]


class Pair(NamedTuple):
    one: int
    two: int


@node("bad.Pair", category="bad")
def wrong_count(number: int) -> Pair:
    """Give three of two."""
    return (number, number, number)  # type: ignore[return-value]


@dataclass
class Loose:
    number: int


@node("bad.Loose", category="bad")
def loose(number: int) -> Loose:
    """Give a value that can be changed."""
    return Loose(number)


@node("bad.Items", category="bad")
def wrong_items(image: Image) -> list[Image]:
    """Give tensors among pictures."""
    return [image, image.pixels]  # type: ignore[list-item]


@node("bad.Random", category="bad")
def random_pixels(image: Image) -> Image:
    """Draw from the state that all share."""
    return Image(torch.rand_like(image.pixels))


@node("bad.Count", category="bad")
def counts(number: int, seen: Literal["a", "b"] = "a") -> int:
    """Count its calls."""
    _calls.append(number)
    return len(_calls)


_calls: list[int] = []


@node("bad.Seed", category="bad")
def ignores_seed(seed: Annotated[int, Field(ge=0)] = 0) -> Image:
    """Draw the same for every seed."""
    return Image(torch.rand(1, 2, 2, 3, generator=torch.Generator().manual_seed(5)))


@node("bad.Unused", category="bad")
def unused(number: int, times: int = 2) -> int:
    """Pass over one of its inputs."""
    return number


@node("bad.InPlace", category="bad")
def in_place(image: Image) -> Image:
    """Change its input."""
    image.pixels.mul_(0.5)
    return image


@node("bad.Global", category="bad")
def global_seed(seed: Annotated[int, Field(ge=0)] = 0) -> float:
    """Seed the state that all share."""
    random.seed(seed)
    return random.random()


@node("bad.Environment", category="bad")
def environment(number: int) -> int:
    """Set a variable of the environment."""
    os.environ["NODEGRAPH_BAD"] = os.environ.get("NODEGRAPH_BAD", "") + "x"
    return number


@node("bad.Thread", category="bad")
def leaves_thread(number: int) -> int:
    """Leave a thread running."""
    threading.Thread(target=time.sleep, args=(2.0,), name="forgotten").start()
    return number


@node("bad.File", category="bad")
def writes_file(number: int, path: str) -> int:
    """Write a file, though it is no sink."""
    Path(path).write_text(str(number), encoding="utf-8")
    return number


@node("bad.Deaf", category="bad")
def deaf(number: int) -> int:
    """Work long without looking whether to go on."""
    time.sleep(0.3)
    return number


@node("bad.Seldom", category="bad")
def seldom(context: Context, number: int) -> int:
    """Look whether to go on at its beginning alone."""
    context.check_cancelled()
    time.sleep(0.3)
    return number


@node("bad.Linger", category="bad")
def lingers(context: Context, number: int) -> int:
    """Take its time to stop."""
    try:
        context.check_cancelled()
    finally:
        if context.cancelled:
            time.sleep(0.3)
    return number


@node("bad.Swallow", category="bad")
def swallows(context: Context, number: int) -> int:
    """Catch what shall stop it."""
    for step in range(4):
        try:
            context.progress(step, 4)
        except Cancelled:
            continue
    return number


@node("bad.Wrap", category="bad")
def wraps(context: Context, number: int) -> int:
    """Make another error of what shall stop it."""
    try:
        context.check_cancelled()
    except Cancelled as error:
        raise RuntimeError("something went wrong") from error
    return number


@node("bad.Leave", category="bad")
def leaves_changed(context: Context, image: Image) -> Image:
    """Change an input for a while, and not put it back when it is stopped."""
    image.pixels.neg_()
    context.check_cancelled()
    image.pixels.neg_()
    return image


@node("bad.Part", category="bad", output=True)
def leaves_part(context: Context, number: int) -> None:
    """Leave half a file."""
    folder = context.folders.roots("output")[0]
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".number.part"
    part.write_text(str(number), encoding="utf-8")
    context.check_cancelled()
    context.output(part.rename(folder / "number.txt"))


@node("bad.Setting", category="bad")
def undeclared_setting(context: Context, number: int) -> str:
    """Look at a setting that it does not declare."""
    return f"{number} on {context.settings.get('device')}"


@node("bad.Hidden", category="bad")
def undeclared_file(context: Context, number: int) -> int:
    """Read a file that no input names."""
    return number + len(context.folders.path("input", "hidden.txt").read_text(encoding="utf-8"))


@node("bad.Variable", category="bad")
def looks_at_variable(number: int) -> str:
    """Look at a variable of the environment."""
    return os.environ.get("NODEGRAPH_BAD", "") * number


@node("bad.Path", category="bad")
def reads_path(number: int, path: str) -> str:
    """Read a file by a text that is no file to nodegraph."""
    return Path(path).read_text(encoding="utf-8") * number


@node("bad.Memo", category="bad")
def remembers(number: int, times: int = 1) -> int:
    """Keep results of its own by too little."""
    return _product(number)(times)


@cache
def _product(number: int) -> Callable[[int], int]:
    kept: list[int] = []

    def multiplied(times: int) -> int:
        if not kept:
            kept.append(number * times)
        return kept[0]

    return multiplied


class Word:
    """A text in a class that says nothing of what it holds."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read it from a text."""
        written = core_schema.plain_serializer_function_ser_schema(lambda word: word.text)
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(), serialization=written)


@node("bad.Unnamed", category="bad")
def unnamed(word: Word) -> int:
    """Take what has no canonical form."""
    return len(word.text)
