"""`nodegraph users`: users of the server, their tokens and links; with a server running or without."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.output import write_line, write_table
from nodegraph.cli.serve import data_folder
from nodegraph.cli.server_access import Address, accounts, ask, running_server

DEFAULT_URL = "http://127.0.0.1:8188"


def main(options: argparse.Namespace) -> Exit:
    """Do what the action says."""
    data = data_folder(options)
    address = running_server(data)
    asyncio.run(_by_server(options, address) if address is not None else _by_store(options, data))
    return Exit.DONE


async def _by_server(options: argparse.Namespace, address: Address) -> None:
    name = quote(getattr(options, "name", ""), safe="")
    match options.action:
        case "list":
            _list((await ask(address, "GET", "/users"))["items"])
        case "add":
            made = await ask(address, "POST", "/users", {"name": options.name, "admin": options.admin})
            _show_token(options.name, made["token"])
        case "remove":
            await ask(address, "DELETE", f"/users/{name}")
            write_line(f"removed {options.name}; jobs and files stay")
        case "token":
            _show_token(options.name, (await ask(address, "POST", f"/users/{name}/token"))["token"])
        case "link":
            write_line(address.url + (await ask(address, "POST", f"/users/{name}/link"))["path"])


async def _by_store(options: argparse.Namespace, data: Path) -> None:
    from nodegraph.server.accounts import AccountError

    async with accounts(data) as found:
        try:
            match options.action:
                case "list":
                    _list([vars_of(user) for user in await found.users()])
                case "add":
                    _show_token(options.name, await found.add(options.name, admin=options.admin))
                case "remove":
                    await found.remove(options.name)
                    write_line(f"removed {options.name}; jobs and files stay")
                case "token":
                    _show_token(options.name, await found.renew(options.name))
                case "link":
                    write_line(f"{DEFAULT_URL}/login?code={await found.link(options.name)}")
                    sys.stderr.write("No server runs: where it will listen elsewhere, change the address.\n")
        except AccountError as error:
            raise CommandError(str(error), Exit.USAGE if error.code == "name" else Exit.FAILED) from error


def vars_of(user: Any) -> Mapping[str, Any]:
    """Return a user as the API tells one."""
    return {"name": user.name, "admin": user.admin, "created": user.created}


def _list(users: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (user["name"], "admin" if user["admin"] else "user", time.strftime("%Y-%m-%d", time.localtime(user["created"])))
        for user in users
    ]
    write_table(("NAME", "ROLE", "SINCE"), rows)


def _show_token(name: str, token: str) -> None:
    write_line(token)
    sys.stderr.write(f"This is {name}'s token; it cannot be shown again.\n")
