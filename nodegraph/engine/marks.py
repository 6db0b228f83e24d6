"""What an annotation of a node's parameter may say beyond its Python type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choices:
    """The parameter is one of the names that `provider` returns, asked for when they are needed.

    `Annotated[str, Choices(sampler_names)]`; for names that never change, `Literal["a", "b"]` says it shorter.
    """

    provider: Callable[[], Iterable[str]]

    def names(self) -> tuple[str, ...]:
        """Return the names that fit now."""
        return tuple(self.provider())


@dataclass(frozen=True, slots=True)
class File:
    """The parameter names a file in the folders of one kind (`checkpoints`, `vae`, `loras`, `input`).

    `Annotated[str, File("checkpoints")]`; the file's identity joins the recipe, so a changed file is read again.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Multiline:
    """The text is edited in a field of several lines."""


@dataclass(frozen=True, slots=True)
class Step:
    """A widget's arrows change the number by this much; any number within the bounds is valid all the same."""

    size: float


class Lazy(Generic[T]):
    """An input that is worked out only if the node asks for it.

    A parameter annotated `Lazy[Image]` receives this handle; in a test, `Lazy.of(image)` makes one.
    """

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], T]) -> None:
        self._get = get

    @classmethod
    def of(cls, value: T) -> Lazy[T]:
        """Return a handle of a value that is there already."""
        return cls(lambda: value)

    def get(self) -> T:
        """Work the input out, with all that it needs, and return it."""
        return self._get()
