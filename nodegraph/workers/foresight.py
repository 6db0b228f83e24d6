"""What a run would do, told while another one is under way: nothing runs, nothing is read from the disk or moved."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

from nodegraph.engine.cache import Entry
from nodegraph.engine.explain import Decision, History
from nodegraph.engine.graph import Graph
from nodegraph.runtime import Runtime

Json = Any
MOST_USERS: Final = 32
"""Whose last runs a worker remembers."""
MOST_NODES: Final = 2_000
"""Nodes of each user that are remembered."""
_THERE: Final = Entry({})


class Histories:
    """What the nodes of each user were last made of; one user is never told of another's values."""

    def __init__(self) -> None:
        self._by_user: OrderedDict[str, History] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: str) -> History:
        """Return a user's history."""
        with self._lock:
            found = self._by_user.setdefault(user, History(MOST_NODES))
            self._by_user.move_to_end(user)
            while len(self._by_user) > MOST_USERS:
                self._by_user.popitem(last=False)
            return found


class Presence(MutableMapping[str, Entry]):
    """A cache that tells what another has, without its values: asking changes nothing there."""

    def __init__(self, cache: MutableMapping[str, Entry]) -> None:
        self._cache = cache

    def __contains__(self, recipe: object) -> bool:
        return recipe in self._cache

    def __getitem__(self, recipe: str) -> Entry:
        if recipe not in self._cache:
            raise KeyError(recipe)
        return _THERE

    def __setitem__(self, recipe: str, entry: Entry) -> None:
        raise TypeError("what is foreseen is not kept")

    def __delitem__(self, recipe: str) -> None:
        raise TypeError("what is foreseen is not removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)


def foresee(runtime: Runtime, graph: Graph, places: Mapping[str, Any], history: History) -> tuple[Decision, ...]:
    """Tell of each node that a run of a graph may come to whether its result is there, and why it is run if not."""
    executor = runtime.placed(graph, places, history)
    return executor.over(Presence(executor.cache)).plan(graph, graph.targets).explain()
