"""How commands on the server's machine reach it: by its API while it runs, by its store while it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli.exits import CommandError

if TYPE_CHECKING:
    from nodegraph.server.accounts import Accounts

SECONDS = 20.0


@dataclass(frozen=True)
class Address:
    """Where a running server is, as its `server.json` tells."""

    url: str
    token: str
    pid: int = 0
    version: str = ""


def running_server(data: Path) -> Address | None:
    """Return the server that has the data folder now; None where none runs. Raise `CommandError` while it starts."""
    from nodegraph.server.locking import holder

    pid = holder(data)
    if pid is None:
        return None
    try:
        told = json.loads((data / "server.json").read_text(encoding="utf-8"))
        found = Address(str(told["url"]), str(told["token"]), int(told["pid"]), str(told["version"]))
    except FileNotFoundError as error:
        raise _starting(data) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{data} is in use, but its server.json cannot be read: {error}") from error
    if pid not in (0, found.pid):  # what a server left that was killed
        raise _starting(data)
    return found


def _starting(data: Path) -> CommandError:
    return CommandError(f"{data} is in use by a server that starts or stops: try again in a moment")


async def ask(address: Address, method: str, path: str, body: Any = None) -> Any:
    """Ask the running server; raise `CommandError` with what it says where it refuses."""
    import aiohttp

    headers = {"Authorization": f"Bearer {address.token}"}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session,
            session.request(method, f"{address.url}/api/v1{path}", json=body) as response,
        ):
            text = await response.text()
            document = json.loads(text) if text else None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CommandError(f"the server at {address.url} does not answer: {error or type(error).__name__}") from error
    if response.status >= 400:
        raise CommandError(document["error"]["message"] if document else f"the server answered {response.status}")
    return document


@asynccontextmanager
async def accounts(data: Path) -> AsyncIterator[Accounts]:
    """Open the accounts of a server that does not run; it cannot start meanwhile."""
    from nodegraph.server.accounts import Accounts
    from nodegraph.server.locking import FolderLock
    from nodegraph.server.store.store import Store

    with FolderLock(data):
        store = await Store.open(data)
        try:
            found = Accounts(store)
            await found.open()
            yield found
        finally:
            await store.close()
