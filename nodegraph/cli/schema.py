"""`nodegraph schema`: JSON Schema of workflow files and of node types."""

from __future__ import annotations

import argparse

from nodegraph.cli.exits import Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.output import write_json
from nodegraph.engine.schema import DIALECT, node_schema


def main(options: argparse.Namespace) -> Exit:
    """Write the JSON Schema of the workflow file, or of a node type's parameters."""
    if options.name is None:
        from nodegraph.engine.workflow import Workflow

        write_json({"$schema": DIALECT, **Workflow.model_json_schema()})
        return Exit.DONE
    from nodegraph.cli.nodes import find

    runtime = open_runtime(options)
    spec = find(runtime.registry, options.name)
    write_json(node_schema(spec, runtime.folders))
    return Exit.DONE
