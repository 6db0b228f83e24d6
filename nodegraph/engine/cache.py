"""Results by recipe. Any `MutableMapping[str, Entry]` is a valid cache, a dict too; `MemoryCache` counts bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of a node.

    `values` by output name; `items` holds the names of the items of list outputs whose items have names of their own;
    `cost` is how many seconds it took to make, all that it expanded into included.
    """

    values: Mapping[str, Any]
    cost: float = 0.0
    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    type: str = ""
    """The node type that made it, for reports."""


class NoCache(MutableMapping[str, Entry]):
    """A cache that keeps nothing: every node runs each time."""

    def __getitem__(self, recipe: str) -> Entry:
        raise KeyError(recipe)

    def __setitem__(self, recipe: str, entry: Entry) -> None:
        pass

    def __delitem__(self, recipe: str) -> None:
        raise KeyError(recipe)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
