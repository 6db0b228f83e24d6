"""`/users`: who may use the server. Tokens are told once, when they are made."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from nodegraph.server.accounts import AccountError
from nodegraph.server.api.routing import Model, Route, respond
from nodegraph.server.errors import ApiError
from nodegraph.server.keys import ACCOUNTS
from nodegraph.server.records import User

STATUSES = {"taken": 409, "name": 422, "owner": 409}


class UserAnswer(Model):
    """A user; admins see to the queue, the devices and the users."""

    name: str
    admin: bool
    created: float

    @classmethod
    def of(cls, user: User) -> UserAnswer:
        """Return a user as it stands on the wire."""
        return cls(name=user.name, admin=user.admin, created=user.created)


class UserList(Model):
    """All users, by name."""

    items: list[UserAnswer]


class NewUser(Model):
    """A user to be: lower-case letters, digits, `_` and `-`."""

    name: Annotated[str, Field(min_length=1, max_length=32)]
    admin: bool = False


class TokenAnswer(Model):
    """A user's new token: it cannot be read again, and the one before is of no use any more."""

    name: str
    token: str


class LinkAnswer(Model):
    """A path that lets a browser in as that user, once: open it below the server's address."""

    name: str
    path: str


async def index(request: web.Request) -> UserList:
    """List the users."""
    return UserList(items=[UserAnswer.of(user) for user in await request.app[ACCOUNTS].users()])


async def add(request: web.Request, user: NewUser) -> web.Response:
    """Add a user."""
    try:
        token = await request.app[ACCOUNTS].add(user.name, admin=user.admin)
    except AccountError as error:
        raise _refused(error) from error
    return respond(TokenAnswer(name=user.name, token=token), 201)


async def remove(request: web.Request) -> None:
    """Remove a user; jobs and files stay."""
    try:
        await request.app[ACCOUNTS].remove(request.match_info["name"])
    except AccountError as error:
        raise _refused(error) from error


async def renew(request: web.Request) -> TokenAnswer:
    """Give a user a new token."""
    name = request.match_info["name"]
    try:
        return TokenAnswer(name=name, token=await request.app[ACCOUNTS].renew(name))
    except AccountError as error:
        raise _refused(error) from error


async def link(request: web.Request) -> LinkAnswer:
    """Make a link that lets a browser in."""
    name = request.match_info["name"]
    try:
        return LinkAnswer(name=name, path=f"/login?code={await request.app[ACCOUNTS].link(name)}")
    except AccountError as error:
        raise _refused(error) from error


def _refused(error: AccountError) -> ApiError:
    if error.code == "unknown":
        return ApiError(404, "not_found", str(error))
    return ApiError(STATUSES[error.code], f"user_{error.code}", str(error))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/users", index, "List the users", answer=UserList, admin=True),
    Route(
        "POST",
        "/users",
        add,
        "Add a user and tell the token, once",
        body=NewUser,
        answer=TokenAnswer,
        status=201,
        admin=True,
        errors={409: "The name is taken"},
    ),
    Route("DELETE", "/users/{name}", remove, "Remove a user", status=204, admin=True, errors={409: "The owner stays"}),
    Route("POST", "/users/{name}/token", renew, "Give a user a new token", answer=TokenAnswer, admin=True),
    Route("POST", "/users/{name}/link", link, "Make a link that lets a browser in once", answer=LinkAnswer, admin=True),
)
