"""JSON Schema of node types: what a file, a command line or a widget may give for each input."""

from __future__ import annotations

from typing import Final, get_args

from nodegraph.engine.document import Mode
from nodegraph.engine.folders import FolderError, Folders
from nodegraph.engine.marks import Multiline, Step, Widget
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec
from nodegraph.engine.types import metadata

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
LINK: Final = r"^[A-Za-z0-9_:-]+\.[A-Za-z_][A-Za-z0-9_-]*$"


def node_schema(spec: NodeSpec, folders: Folders | None = None) -> dict[str, Json]:
    """Return the JSON Schema of a node of this type in a workflow file.

    `params` holds a schema for each input that can be typed, `links` one for each that can be wired. Keys that begin
    with `x-` are hints for who draws a node: category, plugin, types of wires, outputs, arrows' steps, folders.
    `folders` tells the names of files.
    """
    inputs = spec.inputs.values()
    params = {port.name: input_schema(port, folders) for port in inputs if port.type.data or port.body}
    # References lead from the root of the whole schema.
    definitions = {name: part for schema in params.values() for name, part in schema.pop("$defs", {}).items()}
    links = {
        port.name: {"type": "string", "pattern": LINK, "x-type": port.type.name, "x-lazy": port.lazy}
        for port in inputs
        if not port.body
    }
    return {
        "$schema": DIALECT,
        "title": spec.title or spec.id,
        "description": spec.doc,
        "type": "object",
        "properties": {
            "type": {"enum": [spec.id, *spec.aliases]},
            "params": {"type": "object", "properties": params, "additionalProperties": False},
            "links": {"type": "object", "properties": links, "additionalProperties": False},
            "mode": {"enum": list(get_args(Mode))},
        },
        "required": ["type"],
        "additionalProperties": False,
        "x-inputs": {port.name: {"type": port.type.name, "required": port.required} for port in inputs},
        "x-outputs": {port.name: port.type.name for port in spec.outputs.values()},
        "x-category": spec.category,
        "x-plugin": spec.plugin,
        "x-version": spec.version,
        "x-sink": spec.output,
        "x-deprecated": spec.deprecated,
        **({"$defs": definitions} if definitions else {}),
    }


def input_schema(port: InputPort, folders: Folders | None = None) -> dict[str, Json]:
    """Return the JSON Schema of what may be typed for an input, with its default, names that fit and hints."""
    schema: dict[str, Json] = {"type": "string"} if port.body else dict(port.type.schema or {})
    names = port.choices() if port.choices is not None else _files(port, folders)
    if names is not None:
        schema["enum"] = list(names)
    if port.default is not MISSING:
        schema["default"] = port.type.dump(port.default)
    for mark in metadata(port.type.annotation):
        if isinstance(mark, Multiline) or mark is Multiline:
            schema["x-multiline"] = True
        elif isinstance(mark, Step):
            schema["x-step"] = mark.size
        elif isinstance(mark, Widget):
            schema["x-widget"] = mark.name
    if port.file is not None:
        schema["x-file"] = port.file
    if port.body:
        schema["x-body"] = True
    return schema


def _files(port: InputPort, folders: Folders | None) -> tuple[str, ...] | None:
    if port.file is None or folders is None:
        return None
    try:
        return folders.names(port.file)
    except FolderError:
        return None
