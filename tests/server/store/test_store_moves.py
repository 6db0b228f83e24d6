"""The order of the queue, and how it is changed."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nodegraph.server.records import State, Submission
from nodegraph.server.store.errors import StoreError
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


async def order(store: Store, user: str = "owner") -> list[str]:
    return [job.id for job in await store.pending() if job.user == user]


async def fill(store: Store, submit: Submit, count: int, **changes: object) -> list[str]:
    return [job.id for job in await store.add("owner", [submit(**changes) for _ in range(count)])]


async def test_a_higher_priority_runs_first_then_who_came_first(store: Store, submit: Submit) -> None:
    low = await fill(store, submit, 2)
    high = await fill(store, submit, 2, priority=5)
    assert await order(store) == [*high, *low]
    moved = await store.move(low[1], priority=9)
    assert moved is not None
    assert moved.priority == 9
    assert await order(store) == [low[1], *high, low[0]]


async def test_a_job_goes_before_after_first_and_last(store: Store, submit: Submit) -> None:
    a, b, c, d = await fill(store, submit, 4)
    await store.move(d, before=b)
    assert await order(store) == [a, d, b, c]
    await store.move(a, after=b)
    assert await order(store) == [d, b, a, c]
    await store.move(c, end="first")
    assert await order(store) == [c, d, b, a]
    await store.move(d, end="last")
    assert await order(store) == [c, b, a, d]
    (e,) = await fill(store, submit, 1)
    assert await order(store) == [c, b, a, d, e]
    await store.move(e, before=e)
    assert await order(store) == [c, b, a, d, e]


async def test_beside_a_job_of_another_priority_it_takes_that(store: Store, submit: Submit) -> None:
    a, b = await fill(store, submit, 2)
    high = await fill(store, submit, 2, priority=3)
    moved = await store.move(a, after=high[0])
    assert moved is not None
    assert moved.priority == 3
    assert await order(store) == [high[0], a, high[1], b]


async def test_what_does_not_stand_in_the_queue_cannot_be_moved(store: Store, submit: Submit) -> None:
    a, b, c = await fill(store, submit, 3)
    (other,) = await store.add("anna", [submit()])
    await store.claim(a, "cpu")
    await store.finish(b, State.DONE)
    assert await store.move(a, end="first") is None
    assert await store.move(c, before=a) is None
    assert await store.move(c, before=b) is None
    assert await store.move(c, before=other.id) is None
    assert await store.move("no such job", priority=1) is None
    with pytest.raises(StoreError, match="no end of the queue"):
        await store.move(c, end="middle")


async def test_a_released_job_stands_at_its_old_place(store: Store, submit: Submit) -> None:
    a, b, c = await fill(store, submit, 3)
    await store.move(c, end="first")
    await store.claim(c, "cpu")
    assert await order(store) == [a, b]
    await store.release(c, counted=True)
    assert await order(store) == [c, a, b]


async def test_any_number_of_moves_into_the_same_gap_keeps_the_order(store: Store, submit: Submit) -> None:
    ids = await fill(store, submit, 4)
    expected = list(ids)
    for number in range(120):
        moved = ids[number % 2]
        await store.move(moved, before=ids[3])
        expected.remove(moved)
        expected.insert(expected.index(ids[3]), moved)
        assert await order(store) == expected
    assert store.reordered > 0


async def test_moving_to_the_end_over_and_over_stays_in_front_of_new_jobs(store: Store, submit: Submit) -> None:
    ids = await fill(store, submit, 3)
    for number in range(130):
        await store.move(ids[number % 3], end="last")
    late = await fill(store, submit, 1)
    assert (await order(store))[-1] == late[0]
    assert set(await order(store)) == {*ids, *late}


async def test_random_moves_give_the_order_of_a_list(store: Store, submit: Submit) -> None:
    chance = random.Random(3)
    expected = await fill(store, submit, 12)
    for _ in range(300):
        moved = chance.choice(expected)
        other = chance.choice([id for id in expected if id != moved])
        expected.remove(moved)
        match chance.randrange(4):
            case 0:
                await store.move(moved, before=other)
                expected.insert(expected.index(other), moved)
            case 1:
                await store.move(moved, after=other)
                expected.insert(expected.index(other) + 1, moved)
            case 2:
                await store.move(moved, end="first")
                expected.insert(0, moved)
            case _:
                await store.move(moved, end="last")
                expected.append(moved)
        assert await order(store) == expected
    expected.extend(await fill(store, submit, 2))
    assert await order(store) == expected
