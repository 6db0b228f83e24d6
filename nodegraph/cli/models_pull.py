"""`nodegraph models pull`: a model from the hub, in the folder that it belongs in."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.folders import collection
from nodegraph.cli.models_convert import progress
from nodegraph.cli.output import plain, write_json, write_line
from nodegraph.cli.text import size
from nodegraph.machine import user_cache

if TYPE_CHECKING:
    from nodegraph.collection.pull import Pulled, Wish


def main(options: argparse.Namespace) -> Exit:
    """Fetch a file, and tell where it is and what it is."""
    from nodegraph.collection.hub import Hub, HubError
    from nodegraph.collection.index import Index
    from nodegraph.collection.pull import Puller
    from nodegraph.diffusion.weights.errors import WeightsError
    from nodegraph.engine.folders import FolderError

    wish = _wish(options)
    found = collection(options)
    _ = open_runtime(options).plugins  # they may know further families
    try:
        hub = Hub.of_environment()
        with Index(user_cache()) as index, progress(f"fetching {wish.address.path}") as tell:
            pulled = asyncio.run(Puller(found, index, hub, tell).pull(wish))
    except (HubError, WeightsError) as error:
        raise CommandError(str(error)) from error
    except FolderError as error:
        raise CommandError(f"--name: {error}", Exit.USAGE) from error
    if options.json:
        write_json(plain(asdict(pulled)))
    else:
        write_line(str(pulled.path))
    sys.stderr.write(f"{_told(pulled)}\n")
    return Exit.DONE


def _wish(options: argparse.Namespace) -> Wish:
    from nodegraph.cli.models_list import own_kind
    from nodegraph.collection.hub import HubError, parse_address
    from nodegraph.collection.kinds import NAMES
    from nodegraph.collection.pull import Wish

    try:
        address = parse_address(options.source)
    except HubError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    kind = None if options.into is None else own_kind(options.into, NAMES)
    return Wish(address, kind, options.name, options.convert, options.force)


def _told(pulled: Pulled) -> str:
    """Say what came, and what there is to say about it."""
    identity = pulled.identity
    told = [
        f"{identity.title}, {identity.precision}, {size(pulled.path.stat().st_size)}",
        f"sha256 {pulled.sha256}",
    ]
    told[:0] = ["it was here already"] * (not pulled.fetched)
    if identity.kind not in (None, pulled.kind):
        told.append(f"it would belong in {identity.kind}")
    if pulled.left_out:
        told.append(f"left out as no weights: {', '.join(pulled.left_out[:5])}")
    return "; ".join(told)
