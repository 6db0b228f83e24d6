"""How files call the layers of a network's part, as data; which names there are is read off the network itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

Aliases = Callable[[Collection[str]], Iterable[tuple[str, str]]]
"""From the names of a network's layers to pairs (what others call one, our name)."""

WRAPPER = "base_model.model."
"""What peft puts before names."""


@dataclass(frozen=True)
class Naming:
    """The part of a model that some names stand for.

    After one of the prefixes `underscored` comes a name of `aliases` with underscores for dots, after one of `dotted`
    the name itself.
    """

    part: str
    underscored: tuple[str, ...]
    dotted: tuple[str, ...]
    aliases: Aliases

    def names(self, modules: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield what files may call the layers of a network, each with our name."""
        for alias, module in self.aliases(modules):
            flat = alias.replace(".", "_")
            yield from ((prefix + flat, module) for prefix in self.underscored)
            yield from ((prefix + alias, module) for prefix in self.dotted)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of this part alone start with."""
        return (*self.underscored, *filter(None, self.dotted))


@dataclass(frozen=True)
class Sign:
    """What tells the family of an adapter: a layer's name and, where given, the (out, in) of its weight."""

    title: str
    pattern: str
    size: tuple[int | None, int | None] = (None, None)


def modules_of(shapes: Iterable[str]) -> set[str]:
    """Return the names of the layers that a network's tensors belong to."""
    return {name.rpartition(".")[0] for name in shapes}


def unwrapped(layer: str) -> str:
    """Return a layer's name without what tools put before all names."""
    return layer.replace(WRAPPER, "", 1)
