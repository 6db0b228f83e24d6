"""The options of the commands that run a server and look after it: `serve`, `users`, `doctor`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

SERVE_EXAMPLES = """examples:
  nodegraph serve --open
  nodegraph serve --data /srv/nodegraph --devices cuda:0,cuda:1
  NODEGRAPH_TOKEN=... nodegraph serve --host 0.0.0.0 --allow-host pictures.example.org
"""
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_HOST_PORT = re.compile(rf"({_HOST.pattern})(?::([0-9]{{1,5}}))?")
_DEVICE = re.compile(r"(cpu|cuda|mps)(:[0-9]+)?")
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells where the server keeps what it makes."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="where the server keeps jobs, outputs, inputs and workflows (default: the user's own data folder)",
    )


def add_strict(group: argparse._ActionsContainer) -> None:
    """Add the option that makes failures of warnings."""
    group.add_argument(
        "--strict",
        action="store_true",
        help="a node that warns, of a picture that is damaged or nothing but black, has failed: nothing is saved",
    )


def fill_serve(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph serve`."""
    parser.epilog = f"{SERVE_EXAMPLES}\n{parser.epilog}"
    add_data(parser)
    _address(parser.add_argument_group("who may reach it"))
    _work(parser.add_argument_group("what it runs on"))
    parser.add_argument("--log", choices=("text", "json"), default="text", help="the form of the log, on stderr")


def _address(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine alone)")
    group.add_argument("--port", type=_port, default=8188, help="the port to listen on (default: 8188; 0: any)")
    group.add_argument("--open", action="store_true", help="open the browser")
    group.add_argument(
        "--no-token", action="store_true", help="ask nobody for a token; only where no other machine can reach it"
    )
    group.add_argument(
        "--allow-host",
        metavar="NAME",
        dest="hosts",
        type=_host,
        action="append",
        default=[],
        help="a further name under which browsers reach the server; may be given several times",
    )
    group.add_argument(
        "--webhooks",
        metavar="HOST[:PORT]",
        type=_host_port,
        action="append",
        default=[],
        help="a host that is told when jobs end, if they ask for it; may be given several times",
    )
    group.add_argument(
        "--offline", action="store_true", help="call nobody: the default, --webhooks is the only exception"
    )


def networks(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the options that say how networks run."""
    parser.add_argument(
        "--network-memory",
        metavar="SIZE",
        type=size_of,
        help="what networks may take on their device, such as 4G; larger ones are streamed (default: a share of it)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="have torch's compiler speed up networks; the first run of a size takes half a minute longer",
    )


def _work(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--workers", metavar="N", type=_count, help="how many jobs run at once (default: one a device)")
    group.add_argument(
        "--devices",
        metavar="D,D",
        type=_names,
        default=(),
        help="the devices to run on, such as cuda:0,cuda:1 or cpu (default: all that the machine has)",
    )
    group.add_argument(
        "--dtype",
        choices=("fp32", "fp16", "bf16"),
        help="the networks' precision (default: the fastest that is sound on the device)",
    )
    group.add_argument(
        "--memory", metavar="SIZE", type=size_of, help="results each worker keeps in RAM, such as 8G (default: a share)"
    )
    networks(group)
    group.add_argument(
        "--disk", metavar="SIZE", type=size_of, default=4 * 2**30, help="results kept on disk (default: 4G)"
    )
    group.add_argument(
        "--history", metavar="N", type=_kept, default=10_000, help="ended jobs that are kept (default: 10000)"
    )
    group.add_argument(
        "--no-metadata",
        dest="metadata",
        action="store_false",
        help="save pictures without the workflow and the record of what made them",
    )
    add_strict(group)
    group.add_argument(
        "--preview",
        choices=("auto", "colors", "taesd", "none"),
        default="auto",
        help="how pictures are shown while they are sampled: coarsely by their colours, or decoded by a TAESD file in "
        "models/vae_approx (default: auto, which decodes them on a GPU)",
    )
    group.add_argument("--no-plugins", dest="plugins", action="store_false", help="load no plugins of other packages")
    group.add_argument("--no-preload", dest="preload", action="store_false", help=argparse.SUPPRESS)


def fill_users(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph users`."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("list", "list the users"),
        ("add", "add a user and show the token"),
        ("remove", "remove a user; jobs and files stay"),
        ("token", "give a user a new token and show it; the old one and all sessions end"),
        ("link", "show a link that lets a browser in once"),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name != "list":
            command.add_argument("name", metavar="NAME", help="the user's name")
        if name == "add":
            command.add_argument("--admin", action="store_true", help="may see to queue, devices and users")
        add_data(command)


def fill_doctor(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph doctor`."""
    add_data(parser)
    parser.add_argument("--port", type=_port, default=8188, help="the port that a server shall listen on")
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 256):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 1 to 256")
    return int(text)


def _kept(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 10_000_000):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 0 to 10000000")
    return int(text)


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a name alone, such as pictures.example.org")
    return text


def _host_port(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if match is None or not 0 < int(match[2] or 1) < 65536:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected HOST or HOST:PORT, such as 127.0.0.1:9000")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(_DEVICE.fullmatch(name) for name in names):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected devices with commas between them, such as cuda:0,cpu")
    return names


def size_of(text: str) -> int:
    """Return a size in bytes, such as `8G`."""
    match = re.fullmatch(r"(\d{1,15})([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a size such as 500M or 8G")
    return int(match[1]) * _UNITS[match[2]]
