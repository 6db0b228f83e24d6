"""The commands and options of the command line; help comes at once, as only the standard library is imported."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from nodegraph.cli.author_arguments import fill_new_plugin
from nodegraph.cli.exits import MEANINGS, Exit
from nodegraph.cli.folders import fill_folders
from nodegraph.cli.models_arguments import fill_models
from nodegraph.cli.operating_arguments import add_strict, fill_doctor, fill_serve, fill_users, networks
from nodegraph.cli.server_arguments import fill_jobs, fill_submit
from nodegraph.cli.verify_arguments import fill_verify

SEED_LIMIT: Final = 2**64 - 1
EXIT_CODES: Final = "exit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
RUN_EXAMPLES: Final = """examples:
  nodegraph run picture.json --set prompt="a red circle" --seed 7
  nodegraph run picture.json --set sample.steps=30 --output pictures
  nodegraph run - < picture.json
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors tell where the help is."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with the exit code of wrong usage."""
        self.exit(Exit.USAGE, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


class Version(argparse.Action):
    """Write nodegraph's version and end."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Look the version up only when it is asked for."""
        import sys
        from importlib.metadata import version

        sys.stdout.write(f"nodegraph {version('nodegraph')}\n")
        parser.exit()


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    debug = Parser(add_help=False)
    debug.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="log what happens, and show an error's traceback",
    )
    parser = Parser(
        prog="nodegraph",
        description="Run and check workflows of typed nodes for diffusion models.",
        epilog=f"'nodegraph COMMAND --help' tells more about a command.\n\n{EXIT_CODES}",
        parents=[debug],
    )
    parser.add_argument("--version", action=Version, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary, parents, fill in _commands():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=EXIT_CODES,
            parents=[*parents, debug],
        )
        fill(command)
    return parser


def _commands() -> Sequence[tuple[str, str, list[Parser], Callable[[argparse.ArgumentParser], None]]]:
    """Return the commands: name, what it does, the options that it shares with others, what adds its own."""
    models, values = _models(), _values()
    folders, remote = [models, _input()], [values, models]
    return (
        ("run", "run a workflow", [values, *folders], _run),
        ("check", "check a workflow without running it, and tell what can be set", [values, *folders], _check),
        ("verify", "make pictures again from what they carry, and tell what differs", folders, fill_verify),
        ("nodes", "list the node types, or tell all about one", folders, _nodes),
        ("plugins", "list the plugins: loaded, or set aside and why", [], _plugins),
        ("models", "list the model files and what they are; convert and fetch some", [models], fill_models),
        ("new-plugin", "write a package to start a plugin from: a node, its tests, its settings", [], fill_new_plugin),
        ("info", "tell what a checkpoint is: family, precision, parameters, what is missing", [models], _info),
        ("schema", "write the JSON Schema of workflow files, or of a node type", folders, _schema),
        ("serve", "serve the API and the pages, and run jobs, until told to stop", folders, fill_serve),
        ("submit", "run a workflow on a server: show how far it is, and fetch what it made", remote, fill_submit),
        ("jobs", "list a server's jobs; show, cancel, retry, answer, export and import them", [], fill_jobs),
        ("users", "list, add and remove users of the server, give them tokens and links", [], fill_users),
        ("doctor", "look for what is wrong with this installation and its data", folders, fill_doctor),
    )


def _models() -> Parser:
    """Return the options that tell where models are."""
    parser = Parser(add_help=False)
    fill_folders(parser)
    return parser


def _input() -> Parser:
    """Return the option that tells where pictures are."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "--input",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="a folder of pictures that workflows load; may be given several times",
    )
    return parser


def _values() -> Parser:
    """Return the file and the options that set its parameters."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "file", metavar="FILE", help="a workflow: nodegraph's JSON or ComfyUI's API JSON; - reads it from stdin"
    )
    group = parser.add_argument_group("values")
    group.add_argument(
        "--set",
        metavar="NAME=VALUE",
        dest="values",
        type=_assignment,
        action="append",
        default=[],
        help="set an input of the workflow by name, or a parameter as node.name; text as it is, anything else as JSON",
    )
    group.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        help="set the workflow's input 'seed' if it has one, else every seed in it (0 to 2^64-1)",
    )
    return parser


def _run(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{RUN_EXAMPLES}\n{EXIT_CODES}"
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("output"), help="where files are saved (default: output)"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="where results are kept for the next run")
    parser.add_argument(
        "--device", metavar="D", help="where networks run: cpu, cuda, cuda:1, mps (default: the fastest there is)"
    )
    parser.add_argument(
        "--dtype",
        choices=("fp32", "fp16", "bf16"),
        help="the networks' precision (default: the fastest that is sound on the device)",
    )
    networks(parser)
    parser.add_argument(
        "--answer",
        metavar="NODE=VALUE",
        dest="answers",
        type=_assignment,
        action="append",
        default=[],
        help="answer what a node asks a person; without it you are asked on the terminal, if there is one",
    )
    parser.add_argument("--explain", action="store_true", help="tell first of each node why it runs or is reused")
    parser.add_argument(
        "--no-cache", dest="cache", action="store_false", help="run everything, and keep no result for later"
    )
    parser.add_argument(
        "--no-metadata",
        dest="metadata",
        action="store_false",
        help="save pictures without the workflow and the record of what made them",
    )
    add_strict(parser)
    parser.add_argument(
        "--events", choices=("json",), help="write what happens to stdout, one JSON object a line, and show no progress"
    )


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _nodes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="a node type to tell all about")


def _plugins(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a .safetensors file, a diffusers folder, or the name of a checkpoint"
    )
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="a node type (default: the workflow file)")


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'got {text!r}, expected NAME=VALUE, such as prompt="a red circle"')
    return name.strip(), value


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= SEED_LIMIT):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 0 to {SEED_LIMIT}")
    return int(text)


Command = Callable[[argparse.Namespace], Exit]
"""A command: takes the parsed options and returns the exit code."""
