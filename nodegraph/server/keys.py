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
STORE: Final = web.AppKey["Store"]("STORE")
HUB: Final = web.AppKey["Hub"]("HUB")
HOST: Final = web.AppKey["Host"]("HOST")
QUEUE: Final = web.AppKey["Queue"]("QUEUE")
ACCOUNTS: Final = web.AppKey["Accounts"]("ACCOUNTS")
INPUTS: Final = web.AppKey["Inputs"]("INPUTS")
OUTPUTS: Final = web.AppKey["Outputs"]("OUTPUTS")
WORKFLOWS: Final = web.AppKey["Workflows"]("WORKFLOWS")
