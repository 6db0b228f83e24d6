"""Where the application keeps its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from nodegraph.server.settings import Settings

if TYPE_CHECKING:
    from nodegraph.server.accounts import Accounts
    from nodegraph.server.files.inputs import Inputs
    from nodegraph.server.files.outputs import Outputs
    from nodegraph.server.host import Host
    from nodegraph.server.hub import Hub
    from nodegraph.server.queue import Queue
    from nodegraph.server.store.store import Store
    from nodegraph.server.workflows import Workflows

SETTINGS: Final = web.AppKey("SETTINGS", Settings)
STORE: Final[web.AppKey[Store]] = web.AppKey("STORE")
HUB: Final[web.AppKey[Hub]] = web.AppKey("HUB")
HOST: Final[web.AppKey[Host]] = web.AppKey("HOST")
QUEUE: Final[web.AppKey[Queue]] = web.AppKey("QUEUE")
ACCOUNTS: Final[web.AppKey[Accounts]] = web.AppKey("ACCOUNTS")
INPUTS: Final[web.AppKey[Inputs]] = web.AppKey("INPUTS")
OUTPUTS: Final[web.AppKey[Outputs]] = web.AppKey("OUTPUTS")
WORKFLOWS: Final[web.AppKey[Workflows]] = web.AppKey("WORKFLOWS")
