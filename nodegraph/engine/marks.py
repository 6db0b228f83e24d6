"""What an annotation of a node's parameter may say beyond its Python type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
WIDGETS: Final = ("slider", "color", "seed", "mask")
"""Ways of typing a value that an editor knows, beside those that follow from the type."""


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
class KnownAs:
    """The name that the files of other programs have for this input, where it is no name in Python: `out.`, say."""

    name: str


@dataclass(frozen=True, slots=True)
class Mentions:
    """The text may name files of one kind somewhere in it, as a prompt names embeddings; they join the recipe.

    `find` returns, of the names of all files of the kind, those that a text means. A text without `sign` in it means
    none. One that comes by wire may mean any.
    """

    kind: str
    find: Callable[[str, Sequence[str]], Iterable[str]]
    sign: str


@dataclass(frozen=True, slots=True)
class Multiline:
    """The text is edited in a field of several lines."""


@dataclass(frozen=True, slots=True)
class Step:
    """A widget's arrows change the number by this much; any number within the bounds is valid all the same."""

    size: float


@dataclass(frozen=True, slots=True)
class Widget:
    """How the value is typed: on a `slider`, as a `color`, as a `seed`, by painting a `mask`, or in an own element.

    The name of a custom element, such as `soft-curve`, is defined by a module that the plugin ships (`register_web`).
    """

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that no editor can know."""
        if self.name not in WIDGETS and not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", self.name):
            known = ", ".join(map(repr, WIDGETS))
            raise ValueError(f"no widget is called {self.name!r}; expected {known}, or a custom element as 'pack-name'")


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
