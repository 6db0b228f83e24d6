"""Users and their ways in, settings, estimates, webhooks that are owed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from nodegraph.server.records import Failure, State, Submission, User
from nodegraph.server.store.errors import AlreadyError
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


async def test_users_are_known_by_their_tokens(store: Store) -> None:
    owner = await store.add_user("owner", admin=True, token_sha256="a" * 64)
    anna = await store.add_user("anna")
    assert (owner.name, owner.admin, anna.admin) == ("owner", True, False)
    assert await store.users() == [anna, owner]
    with pytest.raises(AlreadyError, match="a user anna already"):
        await store.add_user("anna")
    assert await store.by_token("a" * 64) == owner
    assert await store.by_token("") is None
    assert await store.set_token("owner", "b" * 64)
    assert await store.by_token("a" * 64) is None
    assert await store.by_token("b" * 64) == owner
    assert await store.set_token("owner", None)
    assert await store.by_token("b" * 64) is None
    assert not await store.set_token("nobody", "c" * 64)
    assert await store.user("anna") == anna
    assert await store.remove_user("anna")
    assert not await store.remove_user("anna")
    assert await store.user("anna") is None


async def test_a_session_lasts_until_it_expires_or_is_ended(store: Store) -> None:
    owner, anna = await store.add_user("owner"), await store.add_user("anna")
    later = time.time() + 100
    await store.add_session("old", "owner", time.time() - 1)
    assert await store.session("old") is None
    for secret, user in (("1", "owner"), ("2", "owner"), ("3", "anna")):
        await store.add_session(secret, user, later)
    assert await store.session("1") == owner
    assert await store.end_session("1")
    assert not await store.end_session("1")
    assert await store.session("1") is None
    assert await store.set_token("owner", None)
    assert await store.session("2") is None
    assert await store.session("3") == anna
    await store.remove_user("anna")
    assert await store.session("3") is None
    await store.add_user("anna")
    assert await store.session("3") is None


async def test_a_login_code_works_once(store: Store) -> None:
    owner = await store.add_user("owner")
    later = time.time() + 100
    await store.add_code("c", "owner", later)
    taken = await asyncio.gather(*(store.take_code("c", f"session {n}", later) for n in range(10)))
    assert [user for user in taken if user is not None] == [owner]
    assert [await store.session(f"session {n}") for n in range(10)] == taken
    await store.add_code("expired", "owner", time.time() - 1)
    assert await store.take_code("expired", "expired", later) is None
    await store.add_code("ended", "owner", time.time() + 100)
    await store.set_token("owner", None)
    assert await store.take_code("ended", "ended", later) is None
    await store.add_code("stranger", "nobody", time.time() + 100)
    assert await store.take_code("stranger", "stranger", later) is None
    assert [await store.session(secret) for secret in ("expired", "ended", "stranger")] == [None] * 3


async def test_a_new_token_ends_the_other_ways_in_with_the_same_commit(store: Store) -> None:
    later = time.time() + 100
    for name in ("owner", "anna"):
        await store.add_user(name)
        await store.add_session(f"session of {name}", name, later)
        await store.add_code(f"code of {name}", name, later)
    assert await store.set_token("anna", "a" * 64)
    assert await store.session("session of anna") is None
    assert await store.take_code("code of anna", "new", later) is None
    assert await store.session("session of owner") is not None
    assert await store.take_code("code of owner", "new", later) is not None


async def test_settings_outlive_the_process(store: Store) -> None:
    assert await store.get("pause") is None
    await store.put("pause", {"reason": "disk full", "devices": ["cpu"]})
    await store.put("pause", {"reason": "by hand \ud800", "devices": []})
    await store.close()
    again = await Store.open(store.path.parent)
    assert await again.get("pause") == {"reason": "by hand \ud800", "devices": []}
    await again.close()


async def test_expected_times_lean_towards_the_latest(store: Store) -> None:
    assert await store.expected_times("s") is None
    await store.remember_times("s", {"load": 10.0, "sample": 4.0}, 14.0)
    first = await store.expected_times("s")
    assert first is not None
    assert (first.total, first.nodes, first.runs) == (14.0, {"load": 10.0, "sample": 4.0}, 1)
    for _ in range(20):
        await store.remember_times("s", {"sample": 8.0}, 8.0)
    later = await store.expected_times("s")
    assert later is not None
    assert later.nodes["load"] == 10.0
    assert later.nodes["sample"] == pytest.approx(8.0, abs=0.05)
    assert later.total == pytest.approx(8.0, abs=0.05)
    assert later.runs == 21
    assert await store.expected_times("other") is None


async def test_a_webhook_is_owed_from_the_moment_that_the_job_has_ended(store: Store, submit: Submit) -> None:
    failed, plain, twice = await store.add(
        "owner", [submit(webhook="http://h/1"), submit(), submit(webhook="http://h/3")]
    )
    now = time.time()
    assert await store.due_webhooks(now + 10) == []
    failure = Failure(code="node_failed", message="why", problems=({"node": "a"},))
    ended = await store.finish(failed.id, State.FAILED, failure=failure)
    await store.finish(plain.id, State.DONE)
    for _ in range(2):
        await store.claim(twice.id, "cpu")
        last = await store.release(twice.id, counted=True)
    first, second = await store.due_webhooks(time.time())
    assert (first.url, first.job, first.attempts) == ("http://h/1", ended, 0)
    assert (second.url, second.job) == ("http://h/3", last)
    await store.delete([failed.id])
    await store.webhook_failed(first.id, time.time() + 60)
    assert [hook.id for hook in await store.due_webhooks(time.time())] == [second.id]
    await store.webhook_done(second.id)
    (again,) = await store.due_webhooks(time.time() + 61)
    assert (again.id, again.attempts, again.job) == (first.id, 1, ended)
    set_back = time.time() - 3 * 86_400
    assert [hook.id for hook in await store.due_webhooks(set_back)] == [first.id]


async def test_users_come_back_as_records(store: Store) -> None:
    added = await store.add_user("owner", admin=True)
    assert await store.users() == [User(name="owner", admin=True, created=added.created)]
