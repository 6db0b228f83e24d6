"""Whose turn it is: a fair choice among the queued jobs, without clock or store.

Between users, who has the fewest jobs running goes first, then who was served the longest ago. Among a user's jobs the
highest priority goes first; clients whose first jobs have the same priority take turns; a client's jobs of the same
priority go by position.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nodegraph.server.records import Job

N = TypeVar("N", bound=Hashable)
Place = tuple[int, float, int, str]
"""Of a job within its client: minus its priority, its position, its number, its id."""
REMEMBERED = 256
MOST_CLIENTS, OTHERS = 64, ""
"""Clients of a user that take turns; what they are called is theirs to say, so those beyond share the turns of one."""


@dataclass(slots=True)
class Ranking(Generic[N]):
    """Names by rank: the first is found, and a rank changed, in logarithmic time."""

    _ranks: dict[N, tuple[Any, ...]] = field(default_factory=dict)
    _heap: list[tuple[tuple[Any, ...], N]] = field(default_factory=list)
    """Holds ranks that are no longer true too; they are dropped when they come to the top, or are too many."""

    def put(self, name: N, rank: tuple[Any, ...]) -> None:
        """Give a name its rank."""
        if self._ranks.get(name) == rank:
            return
        self._ranks[name] = rank
        heapq.heappush(self._heap, (rank, name))
        if len(self._heap) > 2 * len(self._ranks) + 64:
            self._heap = [(rank, name) for name, rank in self._ranks.items()]
            heapq.heapify(self._heap)

    def drop(self, name: N) -> None:
        """Take a name off."""
        self._ranks.pop(name, None)

    def first(self) -> N | None:
        """Return the name of the lowest rank."""
        while self._heap:
            rank, name = self._heap[0]
            if self._ranks.get(name) == rank:
                return name
            heapq.heappop(self._heap)
        return None


@dataclass(slots=True)
class _Client:
    places: list[Place] = field(default_factory=list)
    served: int = 0
    """The number of the turn that it last had."""


@dataclass(slots=True)
class _User:
    clients: dict[str, _Client] = field(default_factory=dict)
    ranking: Ranking[str] = field(default_factory=Ranking)
    queued: int = 0
    running: int = 0
    served: int = 0
    left: dict[str, int] = field(default_factory=dict)
    """Clients that have nothing queued -> when they were last served, so that none gains by coming back."""

    def leave(self, name: str) -> None:
        """Take off a client that has nothing queued; what they are called is theirs to say: only few are remembered."""
        client = self.clients.pop(name)
        self.left.pop(name, None)
        self.left[name] = client.served
        if len(self.left) > REMEMBERED:
            del self.left[next(iter(self.left))]


class Turns:
    """The queued jobs, and who has how many running. What it takes is a fraction of a kilobyte a job."""

    def __init__(self) -> None:
        self._users: dict[str, _User] = {}
        self._ranking: Ranking[str] = Ranking()
        self._where: dict[str, tuple[str, str, Place]] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, job: str) -> bool:
        return job in self._where

    def queued(self, user: str) -> int:
        """Return how many jobs a user has in the queue."""
        found = self._users.get(user)
        return 0 if found is None else found.queued

    def ids(self, user: str | None = None) -> Iterator[str]:
        """Yield the queued jobs of a user (None: of everybody), in no order."""
        return (job for job, (owner, _, _) in self._where.items() if user in (None, owner))

    def add(self, job: Job) -> None:
        """Queue a job; one that is queued already gets the place that it has now."""
        self.remove(job.id)
        place = (-job.priority, job.position, job.seq, job.id)
        user = self._users.setdefault(job.user, _User())
        name = job.client if job.client in user.clients or len(user.clients) < MOST_CLIENTS else OTHERS
        client = user.clients.get(name)
        if client is None:
            client = user.clients[name] = _Client(served=user.left.pop(name, 0))
        insort(client.places, place)
        user.queued += 1
        self._where[job.id] = (job.user, name, place)
        self._rank(job.user, name)

    def remove(self, job: str) -> bool:
        """Take a job out of the queue; tell whether it was in it."""
        found = self._where.pop(job, None)
        if found is None:
            return False
        name, client_name, place = found
        user = self._users[name]
        places = user.clients[client_name].places
        del places[bisect_left(places, place)]
        user.queued -= 1
        self._rank(name, client_name)
        return True

    def first(self) -> str | None:
        """Return the job whose turn it is."""
        name = self._ranking.first()
        if name is None:
            return None
        user = self._users[name]
        client = user.ranking.first()
        return None if client is None else user.clients[client].places[0][3]

    def take(self) -> tuple[str, str] | None:
        """Take the job whose turn it is out of the queue and count it as running; return its id and its user."""
        job = self.first()
        if job is None:
            return None
        name, client, _ = self._where[job]
        self._turn += 1
        user = self._users[name]
        user.served = user.clients[client].served = self._turn
        user.running += 1
        self.remove(job)
        return job, name

    def ended(self, user: str) -> None:
        """Count a job of a user as no longer running."""
        found = self._users.get(user)
        if found is not None and found.running:
            found.running -= 1
            self._rank(user)

    def before(self, job: str) -> int | None:
        """Return how many jobs are likely to begin before a queued one; None where it is not queued."""
        found = self._where.get(job)
        if found is None:
            return None
        name, client_name, place = found
        user = self._users[name]
        own = bisect_left(user.clients[client_name].places, place)
        rank = own
        for other_name, client in user.clients.items():
            if other_name != client_name:
                above = bisect_left(client.places, (place[0],))
                same = bisect_left(client.places, (place[0] + 1,)) - above
                mine = own - bisect_left(user.clients[client_name].places, (place[0],))
                rank += above + min(same, mine)
        return rank + sum(min(other.queued, rank) for key, other in self._users.items() if key != name)

    def next(self, user: str | None, limit: int) -> list[str]:
        """Return those of a user's jobs (None: of everybody) that are likely to begin first, in that order."""
        users = {name: found for name, found in self._users.items() if user in (None, name) and found.queued}
        orders = {name: self._order(one) for name, one in users.items()}
        ranks = [(one.running, one.served, name) for name, one in users.items()]
        heapq.heapify(ranks)
        found: list[str] = []
        while ranks and len(found) < limit:
            running, _, name = heapq.heappop(ranks)
            job = next(orders[name], None)
            if job is not None:
                found.append(job)
                heapq.heappush(ranks, (running, self._turn + len(found), name))
        return found

    def _order(self, user: _User) -> Iterator[str]:
        """Yield a user's jobs as they would be taken if nothing else came."""
        heap = [(_turn_of(one.places[0], one.served), name, 0) for name, one in user.clients.items()]
        heapq.heapify(heap)
        turn = self._turn
        while heap:
            _, name, index = heapq.heappop(heap)
            places = user.clients[name].places
            yield places[index][3]
            if index + 1 < len(places):
                turn += 1
                heapq.heappush(heap, (_turn_of(places[index + 1], turn), name, index + 1))

    def _rank(self, name: str, client_name: str | None = None) -> None:
        user = self._users[name]
        client = None if client_name is None else user.clients.get(client_name)
        if client_name is not None and client is not None:
            if client.places:
                user.ranking.put(client_name, _turn_of(client.places[0], client.served))
            else:
                user.ranking.drop(client_name)
                user.leave(client_name)
        if user.queued:
            self._ranking.put(name, (user.running, user.served))
        else:
            self._ranking.drop(name)


def _turn_of(place: Place, served: int) -> tuple[Any, ...]:
    """Return the rank of a client by its first job and when it was last served."""
    return place[0], served, place[1:]
