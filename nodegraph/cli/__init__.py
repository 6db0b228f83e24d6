"""The command line: `nodegraph run`, `check`, `nodes`, `plugins`, `info`, `schema`, and the server's commands.

Each command lives in a module of its own, imported when it is called, so that help and errors come at once. stdout
carries results, stderr progress and errors.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    from nodegraph.cli.arguments import build_parser
    from nodegraph.cli.exits import Exit

    parser = build_parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED
    if options.command is None:
        parser.print_help(sys.stderr)
        return Exit.USAGE
    from nodegraph.cli.guard import guarded

    return guarded(options)
