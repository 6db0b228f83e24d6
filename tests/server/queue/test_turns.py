"""Whose turn it is."""

from __future__ import annotations

import random
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.records import Job, State
from nodegraph.server.turns import Turns


def job(seq: int, user: str = "ann", client: str = "", priority: int = 0, position: float | None = None) -> Job:
    return Job(
        id=f"j{seq}",
        seq=seq,
        user=user,
        state=State.QUEUED,
        document="",
        client=client,
        priority=priority,
        position=seq if position is None else position,
    )


def taken(turns: Turns, count: int = 1000, *, keep: bool = False) -> list[str]:
    """Take jobs one after the other; each ends before the next begins unless they are to `keep` running."""
    found: list[str] = []
    while len(found) < count and (turn := turns.take()) is not None:
        found.append(turn[0])
        if not keep:
            turns.ended(turn[1])
    return found


def filled(*jobs: Job) -> Turns:
    turns = Turns()
    for each in jobs:
        turns.add(each)
    return turns


def test_one_client_goes_by_priority_then_position() -> None:
    turns = filled(job(1), job(2), job(3, priority=5), job(4, position=0.5), job(5, priority=-1))
    assert taken(turns) == ["j3", "j4", "j1", "j2", "j5"]


def test_users_take_turns_however_many_jobs_one_has() -> None:
    turns = filled(*(job(number) for number in range(100)), job(100, "bob"), job(101, "bob"))
    assert taken(turns, 5) == ["j0", "j100", "j1", "j101", "j2"]


def test_who_has_fewer_running_goes_first() -> None:
    turns = filled(*(job(number) for number in range(5)))
    assert taken(turns, 2, keep=True) == ["j0", "j1"]
    turns.add(job(10, "bob"))
    turns.add(job(11, "bob"))
    turns.add(job(12, "bob"))
    assert taken(turns, 3, keep=True) == ["j10", "j11", "j2"]


def test_a_users_priority_counts_for_no_other_user() -> None:
    turns = filled(job(1, priority=100), job(2, priority=100), job(3, "bob"))
    assert taken(turns) == ["j1", "j3", "j2"]


def test_clients_of_a_user_take_turns_at_equal_priority() -> None:
    turns = filled(*(job(number, client="script") for number in range(4)), job(9, client="editor"))
    assert taken(turns) == ["j0", "j9", "j1", "j2", "j3"]
    turns = filled(job(1, client="script", priority=1), job(2, client="script", priority=1), job(3, client="editor"))
    assert taken(turns) == ["j1", "j2", "j3"]


def test_a_client_gains_nothing_by_coming_back() -> None:
    turns = filled(*(job(number, client="bulk") for number in range(10)))
    found: list[str] = []
    for number in range(100, 110):
        turns.add(job(number, client="eager"))
        found += taken(turns, 1)
    assert Counter(name in {f"j{number}" for number in range(10)} for name in found) == {True: 5, False: 5}


def test_a_moved_job_is_found_at_its_new_place_and_a_removed_one_nowhere() -> None:
    turns = filled(job(1), job(2), job(3))
    turns.add(job(3, position=0.1))
    assert len(turns) == 3
    assert turns.remove("j2")
    assert not turns.remove("j2")
    assert turns.before("j2") is None
    assert turns.next("ann", 5) == ["j3", "j1"]
    assert taken(turns) == ["j3", "j1"]
    assert turns.take() is None


jobs = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(-2, 2), st.floats(0, 100)), max_size=40
)


@given(jobs, st.randoms(use_true_random=False))
def test_all_are_served_once_and_each_client_in_order(
    given: list[tuple[str, str, int, float]], rng: random.Random
) -> None:
    queued = [job(number, *each) for number, each in enumerate(given)]
    order = list(queued)
    rng.shuffle(order)
    turns = filled(*order)
    for each in rng.sample(queued, len(queued) // 4):
        turns.remove(each.id)
        turns.add(each)
    found = taken(turns)
    assert sorted(found) == sorted(each.id for each in queued)
    for key in {(each.user, each.client) for each in queued}:
        own = [each for each in queued if (each.user, each.client) == key]
        own.sort(key=lambda each: (-each.priority, each.position, each.seq))
        assert [name for name in found if name in {each.id for each in own}] == [each.id for each in own]


@given(jobs)
def test_the_place_of_the_first_is_none_before_it(given: list[tuple[str, str, int, float]]) -> None:
    turns = filled(*(job(number, *each) for number, each in enumerate(given)))
    first = turns.first()
    places = sorted(turns.before(each) or 0 for each in turns.ids())
    assert (first is None) == (not given)
    assert places[:1] == [0] * bool(given)


def test_eight_clients_with_a_thousand_jobs_each_are_served_evenly_and_quickly() -> None:
    turns = filled(*(job(number, client=f"c{number // 1000}") for number in range(8000)))
    began = time.perf_counter()
    found = taken(turns, 8000)
    assert time.perf_counter() - began < 2
    clients = [int(name[1:]) // 1000 for name in found]
    assert all(sorted(clients[start : start + 8]) == list(range(8)) for start in range(0, 8000, 8))


def test_twenty_thousand_clients_do_not_slow_it_down() -> None:
    turns = filled(*(job(number, client=f"c{number}") for number in range(20_000)))
    began = time.perf_counter()
    assert len(taken(turns, 20_000)) == 20_000
    assert time.perf_counter() - began < 4


def test_the_next_jobs_are_those_that_are_taken_next() -> None:
    chance = random.Random(5)
    jobs = [job(n, chance.choice(("ann", "bob")), f"c{chance.randrange(4)}", chance.randrange(3)) for n in range(60)]
    turns = filled(*jobs)
    taken(turns, 7)
    told = turns.next("ann", 10)
    whole = turns.next(None, 20)
    order = taken(turns)
    users = {each.id: each.user for each in jobs}
    assert told == [id for id in order if users[id] == "ann"][:10]
    assert whole == order[:20]


def test_a_user_with_thousands_of_clients_holds_nobody_up() -> None:
    turns = filled(*(job(number, client=f"c{number}") for number in range(5000)), job(9000, "bob"))
    began = time.perf_counter()
    shown = turns.next(None, 50)
    places = [turns.before(id) for id in shown]
    assert time.perf_counter() - began < 0.5
    assert (len(shown), places.count(None)) == (50, 0)
    assert len(taken(turns, 6000)) == 5001
