"""`nodegraph schema`: JSON Schema of workflow files and of node types."""

from __future__ import annotations

import argparse

from nodegraph.cli.exits import Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.output import write_json
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def main(options: argparse.Namespace) -> Exit:
    """Write the JSON Schema of the workflow file, or of a node type's parameters."""
    if options.name is None:
        from nodegraph.engine.workflow import Workflow

        write_json({"$schema": DIALECT, **Workflow.model_json_schema()})
        return Exit.DONE
    from nodegraph.cli.nodes import find

    runtime = open_runtime(options)
    spec = find(runtime.registry, options.name)
    files = {port.file: runtime.folders.names(port.file) for port in spec.inputs.values() if port.file}
    write_json(node_schema(spec, files))
    return Exit.DONE


def node_schema(spec: NodeSpec, files: dict[str, tuple[str, ...]]) -> Json:
    """Return the JSON Schema of a node type's entry in a workflow file; `files` are the names of each kind."""
    ports = [port for port in spec.inputs.values() if port.type.data or port.body]
    typed = {port.name: _parameter(port, files) for port in ports}
    # References lead from the root of the whole schema.
    definitions = {name: part for schema in typed.values() for name, part in schema.pop("$defs", {}).items()}
    wires = {
        port.name: {
            "type": "string",
            "pattern": r"^[A-Za-z0-9_:-]+\.[A-Za-z_][A-Za-z0-9_-]*$",
            "x-type": port.type.name,
        }
        for port in spec.inputs.values()
    }
    return {
        "$schema": DIALECT,
        "title": spec.title or spec.id,
        "description": spec.doc.strip(),
        "type": "object",
        "properties": {
            "type": {"enum": [spec.id, *spec.aliases]},
            "params": {"type": "object", "properties": typed, "additionalProperties": False},
            "links": {"type": "object", "properties": wires, "additionalProperties": False},
        },
        "required": ["type"],
        "additionalProperties": False,
        "x-outputs": {port.name: port.type.name for port in spec.outputs.values()},
        **({"$defs": definitions} if definitions else {}),
    }


def _parameter(port: InputPort, files: dict[str, tuple[str, ...]]) -> dict[str, Json]:
    schema: dict[str, Json] = {"type": "string"} if port.body else dict(port.type.schema or {})
    names = files.get(port.file) if port.file else port.choices() if port.choices else None
    if names:
        schema["enum"] = list(names)
    if port.default is not MISSING:
        schema["default"] = port.type.dump(port.default)
    return schema
