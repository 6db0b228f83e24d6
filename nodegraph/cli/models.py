"""`nodegraph models`: list the model files; convert and fetch some."""

from __future__ import annotations

import argparse
import importlib

from nodegraph.cli.exits import Exit

ACTIONS = {None: "models_list", "list": "models_list", "convert": "models_convert", "pull": "models_pull"}


def main(options: argparse.Namespace) -> Exit:
    """Do what is asked for."""
    command = importlib.import_module(f"nodegraph.cli.{ACTIONS[options.action]}")
    code: Exit = command.main(options)
    return code
