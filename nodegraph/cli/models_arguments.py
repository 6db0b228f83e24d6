"""The options of `nodegraph models`: list, convert, pull."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from nodegraph.cli.folders import fill_folders
from nodegraph.cli.operating_arguments import size_of

EXAMPLES = """examples:
  nodegraph models
  nodegraph models list --kind loras --hash
  nodegraph models convert old/model.ckpt --dtype fp16
  nodegraph models pull hf:owner/repo/model.safetensors
"""
DTYPES = ("fp32", "fp16", "bf16")


def fill_models(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph models` and of its actions; without one it lists."""
    parser.epilog = f"{EXAMPLES}\n{parser.epilog}"
    _list(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    for name, summary, fill in (
        ("list", "list the model files: kind, family, size, precision, which ones others hide (the default)", _list),
        ("convert", "turn a pickled checkpoint into safetensors, in a process of its own", _convert),
        ("pull", "fetch a model from the hub into the folder that it belongs in", _pull),
    ):
        action = actions.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", argument_default=argparse.SUPPRESS
        )
        fill(action)
        fill_folders(action, again=True)


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", metavar="KIND", action="append", help="only this kind, such as loras; may be given several times"
    )
    parser.add_argument("--hash", action="store_true", help="work out each file's sha256 where it is not known")
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(output=None, dtype=None, force=False, memory=None, timeout=None)
    parser.add_argument("file", metavar="FILE", type=Path, help="a .ckpt, .pt, .pth or .bin file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="the file to write, or a folder (default: the same name with .safetensors)",
    )
    parser.add_argument("--dtype", choices=DTYPES, help="another precision for the weights (default: as they are)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--memory", metavar="SIZE", type=size_of, help="RAM that reading it may take, such as 8G")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="how long it may take (default: by the file's size)"
    )


def _pull(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(into=None, name=None, convert=False, force=False)
    parser.add_argument(
        "source",
        metavar="hf:OWNER/REPO/FILE[@REVISION]",
        help="a file of the hub; a revision is a branch, a tag or a commit (default: main)",
    )
    parser.add_argument(
        "--kind", metavar="KIND", dest="into", help="the kind of folder to put it in (default: by what it is)"
    )
    parser.add_argument("--name", metavar="NAME", help="what to call it, below that folder (default: its own name)")
    parser.add_argument("--convert", action="store_true", help="turn a pickled file into safetensors once it is here")
    parser.add_argument("--force", action="store_true", help="write over another file of that name")
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of seconds above 0")
    return float(text)
