"""Which server a command asks, and what its refusals mean for the command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from nodegraph.client import Client


def open_client(options: argparse.Namespace) -> Client:
    """Return a client of the server that the options name; raise `CommandError` where there is none."""
    from nodegraph.client import Client
    from nodegraph.remote import ClientError

    token = _token(options.token_file)
    if options.server is None:
        try:
            client = Client.from_data(options.data)
        except ClientError as error:
            raise CommandError(str(error)) from error
        return client if token is None else Client(client.url, token)
    if not options.server.startswith(("http://", "https://")):
        raise CommandError(
            f"--server: got {options.server!r}, expected an address such as http://127.0.0.1:8188", Exit.USAGE
        )
    return Client(options.server, token or "")


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("NODEGRAPH_TOKEN") or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--token-file: {file} cannot be read: {error}") from error


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a server refuses into the end of the command: an invalid workflow has its own exit code."""
    from nodegraph.remote import ClientError

    try:
        yield
    except ClientError as error:
        invalid = error.status == 422 and any(problem.node for problem in error.problems)
        hint = "; --token-file FILE or NODEGRAPH_TOKEN gives a token" if error.status == 401 else ""
        raise CommandError(f"{error}{hint}", Exit.INVALID if invalid else Exit.FAILED) from error
