"""Who may use the server: users, their tokens, the sessions of their browsers and the links that begin one.

Of tokens, sessions and links only the SHA-256 is stored, so that whoever reads the store cannot use them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nodegraph.engine.errors import NodegraphError
from nodegraph.server.records import User
from nodegraph.server.security.principal import OWNER, Principal

if TYPE_CHECKING:
    from nodegraph.server.store.store import Store

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RESERVED: Final = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
"""Names that no folder can have on some systems; a user has a folder of that name."""
SESSION_SECONDS: Final = 30 * 24 * 3600
CODE_SECONDS: Final = 24 * 3600
REMEMBERED: Final = 4096
"""Tokens and sessions that are known without asking the store; unknown ones are not remembered."""


class AccountError(NodegraphError):
    """Something that cannot be done with users as asked; `code` is `taken`, `unknown`, `name` or `owner`."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def digest(secret: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Accounts:
    """The users of a server. `token`: the owner's, made anew for each run unless it is given from outside."""

    def __init__(self, store: Store, token: str | None = None) -> None:
        self._store = store
        self.token = token or secrets.token_urlsafe(32)
        self._own = digest(self.token)
        self._known: dict[str, tuple[Principal, float]] = {}
        self._revocations = 0
        self.on_revoked: list[Callable[[str], None]] = []
        """Called with the name of a user whose tokens and sessions have just ended."""

    async def open(self) -> None:
        """See that there is an owner."""
        if await self._store.user(OWNER) is None:
            await self._store.add_user(OWNER, True)

    async def by_token(self, token: str) -> Principal | None:
        """Return who has that token."""
        sha256 = digest(token)
        if hmac.compare_digest(sha256, self._own):
            return Principal(OWNER, admin=True)
        if (found := self._remembered(f"token {sha256}")) is not None:
            return found
        asked = self._revocations
        user = await self._store.by_token(sha256)
        return None if user is None else self._remember(f"token {sha256}", Principal(user.name, user.admin), asked)

    async def by_session(self, session: str) -> Principal | None:
        """Return whose browser has that session."""
        key = f"session {digest(session)}"
        if (found := self._remembered(key)) is not None:
            return found
        asked = self._revocations
        user = await self._store.session(digest(session))
        return None if user is None else self._remember(key, Principal(user.name, user.admin, "cookie"), asked)

    async def users(self) -> list[User]:
        """Return all users, by name."""
        return sorted(await self._store.users(), key=lambda user: user.name)

    async def add(self, name: str, *, admin: bool = False) -> str:
        """Add a user and return the token, which cannot be read again."""
        if not NAME.fullmatch(name) or name in RESERVED:
            raise AccountError("name", f"got {name!r}, expected a-z, then a-z, 0-9, _ or -, 32 characters at most")
        if await self._store.user(name) is not None:
            raise AccountError("taken", f"there is a user {name!r} already")
        token = secrets.token_urlsafe(32)
        await self._store.add_user(name, admin, digest(token))
        return token

    async def remove(self, name: str) -> None:
        """Remove a user: nobody gets in by that name any more; jobs and files stay."""
        await self._require(name)
        if name == OWNER:
            raise AccountError("owner", "the owner cannot be removed")
        await self._store.remove_user(name)
        self._revoked(name)

    async def renew(self, name: str) -> str:
        """Give a user a new token, end the sessions, and return the token, which cannot be read again."""
        await self._require(name)
        token = secrets.token_urlsafe(32)
        await self._store.set_token(name, digest(token))
        self._revoked(name)
        return token

    async def link(self, name: str) -> str:
        """Return a code that lets a browser in as that user once, as `/login?code=...`."""
        await self._require(name)
        code = secrets.token_urlsafe(24)
        await self._store.add_code(digest(code), name, time.time() + CODE_SECONDS)
        return code

    async def login(self, code: str) -> str | None:
        """Use up a code and return a new session; None where there is no such code (any more)."""
        session = secrets.token_urlsafe(32)
        user = await self._store.take_code(digest(code), digest(session), time.time() + SESSION_SECONDS)
        return None if user is None else session

    async def logout(self, session: str) -> None:
        """End a session."""
        await self._store.end_session(digest(session))
        self._revocations += 1
        self._known.pop(f"session {digest(session)}", None)

    async def _require(self, name: str) -> User:
        user = await self._store.user(name)
        if user is None:
            raise AccountError("unknown", f"there is no user {name!r}")
        return user

    def _remembered(self, key: str) -> Principal | None:
        principal, until = self._known.get(key, (None, 0.0))
        return principal if time.monotonic() < until else None

    def _remember(self, key: str, principal: Principal, asked: int) -> Principal:
        if asked != self._revocations:  # what the store said may be out of date
            return principal
        if len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (principal, time.monotonic() + 60)  # so that a session's end is seen within a minute
        return principal

    def _revoked(self, name: str) -> None:
        self._revocations += 1
        self._known = {key: value for key, value in self._known.items() if value[0].user != name}
        for call in self.on_revoked:
            call(name)
