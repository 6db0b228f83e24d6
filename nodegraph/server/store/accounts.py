"""Users, their tokens, sessions and login codes; of secrets only hashes are kept."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from nodegraph.server.records import User
from nodegraph.server.store.errors import AlreadyError
from nodegraph.server.store.sqlite import Connection

_USER = "users.name, users.admin, users.created"


def add_user(connection: Connection, name: str, admin: bool, token: str | None) -> User:
    """Add a user."""
    created = time.time()
    try:
        connection.execute("INSERT INTO users VALUES (?, ?, ?, ?)", (name, admin, token, created))
    except sqlite3.IntegrityError as error:
        raise AlreadyError(f"there is a user {name} already") from error
    return User(name=name, admin=admin, created=created)


def users(connection: Connection) -> list[User]:
    """Return all users."""
    return [_user(row) for row in connection.execute(f"SELECT {_USER} FROM users ORDER BY name")]


def user(connection: Connection, name: str) -> User | None:
    """Return a user."""
    return _one(connection, f"SELECT {_USER} FROM users WHERE name = ?", name)


def remove_user(connection: Connection, name: str) -> bool:
    """Remove a user and the ways in."""
    end_sessions(connection, name)
    return connection.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount > 0


def set_token(connection: Connection, name: str, token: str | None) -> bool:
    """Replace a user's token, and end the other ways in."""
    end_sessions(connection, name)
    return connection.execute("UPDATE users SET token = ? WHERE name = ?", (token, name)).rowcount > 0


def by_token(connection: Connection, sha256: str) -> User | None:
    """Return whose token this is."""
    return _one(connection, f"SELECT {_USER} FROM users WHERE token = ?", sha256)


def add_session(connection: Connection, sha256: str, user: str, expires: float) -> None:
    """Begin a session."""
    connection.execute("DELETE FROM sessions WHERE expires <= ?", (time.time(),))
    connection.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", (sha256, user, expires))


def session(connection: Connection, sha256: str) -> User | None:
    """Return whose session this is, while it lasts."""
    statement = f"SELECT {_USER} FROM sessions JOIN users ON users.name = user WHERE sha256 = ? AND expires > ?"
    return _one(connection, statement, sha256, time.time())


def end_session(connection: Connection, sha256: str) -> bool:
    """End a session."""
    return connection.execute("DELETE FROM sessions WHERE sha256 = ?", (sha256,)).rowcount > 0


def end_sessions(connection: Connection, user: str) -> int:
    """End all sessions of a user, and forget the codes that would begin new ones."""
    connection.execute("DELETE FROM codes WHERE user = ?", (user,))
    return connection.execute("DELETE FROM sessions WHERE user = ?", (user,)).rowcount


def add_code(connection: Connection, sha256: str, user: str, expires: float) -> None:
    """Keep a login code."""
    connection.execute("DELETE FROM codes WHERE expires <= ?", (time.time(),))
    connection.execute("INSERT OR REPLACE INTO codes VALUES (?, ?, ?)", (sha256, user, expires))


def take_code(connection: Connection, sha256: str, session: str, expires: float) -> User | None:
    """Use a login code up and begin a session by it."""
    taken = connection.execute("DELETE FROM codes WHERE sha256 = ? RETURNING user, expires", (sha256,)).fetchall()
    found = user(connection, taken[0][0]) if taken and taken[0][1] > time.time() else None
    if found is not None:
        add_session(connection, session, found.name, expires)
    return found


def _one(connection: Connection, statement: str, *values: Any) -> User | None:
    row = connection.execute(statement, values).fetchone()
    return _user(row) if row is not None else None


def _user(row: tuple[Any, ...]) -> User:
    return User(name=row[0], admin=bool(row[1]), created=row[2])
