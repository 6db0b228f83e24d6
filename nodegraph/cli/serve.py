"""`nodegraph serve`: run the server until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.folders import collection
from nodegraph.cli.output import write_line
from nodegraph.machine import user_data

if TYPE_CHECKING:
    from nodegraph.server.serve import Running
    from nodegraph.server.settings import Settings

TOKEN = "NODEGRAPH_TOKEN"
SHORTEST_TOKEN = 16


def main(options: argparse.Namespace) -> Exit:
    """Serve."""
    from nodegraph.server import faults
    from nodegraph.server.locking import LockedError
    from nodegraph.server.logs import logging_to_stderr, redact
    from nodegraph.server.serve import PortError, serve

    settings = settings_of(options, os.environ.pop(TOKEN, None))  # not for our children
    faults.arm(os.environ)
    if settings.token is not None:
        redact.known.add(settings.token)
    with logging_to_stderr(options.log, debug=getattr(options, "debug", False)):
        try:
            asyncio.run(serve(settings, lambda server, link: _tell(server, link, browse=options.open)))
        except (PortError, LockedError) as error:
            raise CommandError(str(error), Exit.USAGE) from error
    return Exit.DONE


def settings_of(options: argparse.Namespace, token: str | None) -> Settings:
    """Return the settings that the options ask for."""
    from nodegraph.server.settings import Limits, Settings

    if token is not None and len(token) < SHORTEST_TOKEN:
        raise CommandError(f"{TOKEN} is shorter than {SHORTEST_TOKEN} characters: too easy to guess", Exit.USAGE)
    if options.offline and options.webhooks:
        raise CommandError("--offline and --webhooks exclude each other", Exit.USAGE)
    found = collection(options)
    names = (
        "host",
        "port",
        "dtype",
        "workers",
        "devices",
        "memory",
        "network_memory",
        "compile",
        "disk",
        "metadata",
        "strict",
        "preview",
        "plugins",
    )
    return Settings(
        data=data_folder(options),
        models=tuple(folder.resolve() for folder in found.roots),
        folders={kind: tuple(folder.absolute() for folder in paths) for kind, paths in found.folders.items()},
        input=tuple(folder.resolve() for folder in (*options.input, *found.input)),
        open_access=options.no_token,
        token=token,
        hosts=tuple(options.hosts),
        webhooks=tuple(options.webhooks),
        limits=Limits(history=options.history),
        preload=options.preload,
        **{name: getattr(options, name) for name in names},
    )


def data_folder(options: argparse.Namespace) -> Path:
    """Return the data folder that was asked for, else the user's own."""
    folder: Path = options.data or user_data()
    return folder.expanduser().resolve()


def _tell(server: Running, link: str, *, browse: bool) -> None:
    settings = server.settings
    write_line(f"nodegraph serves at {server.url}")
    if settings.open_access:
        write_line("Anybody on this machine may use it: no token is asked for.")
    else:
        write_line(f"Open this link, it lets one browser in, once: {link}")
    if not settings.loopback:
        write_line(f"Warning: other machines reach {settings.host}, and what they send and get is not encrypted.")
        write_line("Warning: put a proxy with TLS before it, and give its name with --allow-host.")
    write_line(f"Data: {settings.data}. Ctrl-C stops.")
    sys.stdout.flush()
    if browse:
        import threading
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
