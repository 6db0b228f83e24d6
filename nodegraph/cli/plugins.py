"""`nodegraph plugins`: what became of each plugin."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from nodegraph.cli.exits import Exit
from nodegraph.cli.output import write_json, write_table
from nodegraph.engine.plugins import PluginState


def main(options: argparse.Namespace) -> Exit:
    """List the plugins, those set aside with the reason."""
    from nodegraph.runtime import Options, Runtime

    report = Runtime(Options()).plugins.report
    if options.json:
        write_json([asdict(state) for state in report])
    else:
        write_table(("PLUGIN", "VERSION", "STATE", "NODES", "IMPORT", "PACKAGE OR REASON"), map(_row, report))
    return Exit.DONE


def _row(state: PluginState) -> tuple[str, ...]:
    milliseconds = f"{state.import_seconds * 1000:.0f} ms"
    told = state.reason or ("built in" if state.builtin else state.package)
    return (state.name, state.version or "-", state.state, str(len(state.nodes)), milliseconds, told)
