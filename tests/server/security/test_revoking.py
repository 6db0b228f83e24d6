"""A token that has been replaced lets nobody in, not even who asked at that very moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nodegraph.server.accounts import Accounts
from nodegraph.server.records import User
from nodegraph.server.store.store import Store


async def test_a_token_that_is_replaced_while_it_is_looked_up_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(tmp_path)
    accounts, read, go = Accounts(store), asyncio.Event(), asyncio.Event()
    token = await accounts.add("ann")
    by_token = store.by_token

    async def slowly(sha256: str) -> User | None:
        found = await by_token(sha256)
        read.set()
        await go.wait()
        return found

    monkeypatch.setattr(store, "by_token", slowly)
    asked = asyncio.create_task(accounts.by_token(token))
    await read.wait()
    await accounts.renew("ann")
    go.set()
    assert await asked is not None  # it was right when it was asked
    assert await accounts.by_token(token) is None
    await store.close()
