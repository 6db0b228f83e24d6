"""`nodegraph new-plugin`: write a package to start a plugin from."""

from __future__ import annotations

import argparse
import shlex
import sys

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.output import write_line
from nodegraph.scaffold.names import NameRefusedError, names_of, refuse_taken
from nodegraph.scaffold.write import files_of, write_plugin


def main(options: argparse.Namespace) -> Exit:
    """Write the package, and say what comes next."""
    try:
        names = names_of(options.name)
        refuse_taken(names)
        folder = write_plugin(names, options.dir)
    except NameRefusedError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    for path in files_of(names):
        write_line(str(folder / path))
    sys.stderr.write(
        f"next: cd {shlex.quote(str(folder))}, pytest, pip install -e . and nodegraph nodes {names.pack}.Vignette\n"
    )
    return Exit.DONE
