"""The options of what is for plugin authors: `nodegraph new-plugin`."""

from __future__ import annotations

import argparse
from pathlib import Path

NEW_PLUGIN_EXAMPLES = """examples:
  nodegraph new-plugin soft-focus
  nodegraph new-plugin soft-focus --dir ~/plugins
"""


def fill_new_plugin(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph new-plugin`."""
    parser.epilog = f"{NEW_PLUGIN_EXAMPLES}\n{parser.epilog}"
    parser.add_argument(
        "name",
        metavar="NAME",
        help="what the plugin is called; soft-focus becomes the package nodegraph-soft-focus",
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="where its folder is made (default: here); nothing is ever written over",
    )
