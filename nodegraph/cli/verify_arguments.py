"""The options of `nodegraph verify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from nodegraph.cli.exits import VERIFY_MEANINGS
from nodegraph.cli.operating_arguments import networks
from nodegraph.cli.server_arguments import node_value

VERIFY_EXAMPLES = """examples:
  nodegraph verify output/picture_00001_.png
  nodegraph verify output/*.png --tolerance 2 --json
  nodegraph verify old.png --keep compared --models /data/models
"""


def fill_verify(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph verify`."""
    codes = "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in VERIFY_MEANINGS.items())
    parser.epilog = f"{VERIFY_EXAMPLES}\nexit codes:\n{codes}"
    parser.add_argument(
        "files", metavar="PICTURE", nargs="+", type=Path, help="a picture that nodegraph or ComfyUI saved: PNG, WEBP"
    )
    parser.add_argument(
        "--tolerance",
        metavar="N",
        type=_tolerance,
        default=0,
        help="how much a channel of a pixel may differ, of 255, for pictures to count as the same (default: 0)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="versions, models, devices and nodes that differ count too",
    )
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="keep the new pictures, and pictures of what differs, in this folder"
    )
    parser.add_argument("--device", metavar="D", help="where networks run (default: as in the record, if it is there)")
    parser.add_argument(
        "--dtype", choices=("fp32", "fp16", "bf16"), help="the networks' precision (default: as in the record)"
    )
    networks(parser)
    parser.add_argument(
        "--answer",
        metavar="NODE=VALUE",
        dest="answers",
        type=node_value,
        action="append",
        default=[],
        help="answer what a node asks a person",
    )
    parser.add_argument("--json", action="store_true", help="write what was found as JSON")


def _tolerance(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 255):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 0 to 255")
    return int(text)
