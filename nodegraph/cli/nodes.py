"""`nodegraph nodes`: the node types, or all about one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.files import open_runtime
from nodegraph.cli.output import write_line, write_table
from nodegraph.engine.plugins import Registry
from nodegraph.engine.spec import InputPort, NodeSpec
from nodegraph.engine.values import describe as fits

if TYPE_CHECKING:
    from nodegraph.runtime import Runtime

SHOWN = 40
"""Choices listed before the rest is counted."""


def main(options: argparse.Namespace) -> Exit:
    """List the node types, or tell all about the one that is named."""
    runtime = open_runtime(options)
    if options.name is not None:
        for line in describe(find(runtime.registry, options.name), runtime):
            write_line(line)
        return Exit.DONE
    specs = sorted(runtime.registry.values(), key=lambda spec: (spec.category.casefold(), spec.id.casefold()))
    if not sys.stdout.isatty():
        write_table(("NODE", "CATEGORY", "WHAT IT DOES"), [(spec.id, spec.category, _summary(spec)) for spec in specs])
        return Exit.DONE
    for line in _grouped(specs):
        write_line(line)
    return Exit.DONE


def find(registry: Registry, name: str) -> NodeSpec:
    """Return a node type by id or alias; whatever comes near a wrong name is told."""
    if name in registry:
        return registry[name]
    near = registry.nearest(name)
    hint = f" (did you mean {near!r}?)" if near else ""
    raise CommandError(f"there is no node type {name!r}{hint}; 'nodegraph nodes' lists them", Exit.USAGE)


def _summary(spec: NodeSpec) -> str:
    return f"deprecated: {spec.deprecated}" if spec.deprecated else spec.doc.strip().partition("\n")[0]


def _grouped(specs: list[NodeSpec]) -> Iterator[str]:
    """Give the lines of a list for people: the node types under their categories."""
    width = max((len(spec.id) for spec in specs), default=0)
    for category, members in groupby(specs, key=lambda spec: spec.category):
        yield category or "(no category)"
        for spec in members:
            yield from _wrapped(f"  {spec.id:<{width}}  ", _summary(spec), width + 4)


def describe(spec: NodeSpec, runtime: Runtime) -> Iterator[str]:
    """Give the lines that tell all about a node type: what it does, its inputs with what fits, its outputs."""
    title = f"{spec.id}: {spec.title}" if spec.title and spec.title != spec.id else spec.id
    yield title + (f"  [{spec.category}]" if spec.category else "")
    yield from spec.doc.strip().splitlines()
    if spec.deprecated:
        yield f"Deprecated: {spec.deprecated}"
    yield ""
    yield from _ports("Inputs", [(port.name, port.type.name, _told(port, runtime)) for port in spec.inputs.values()])
    yield from _ports("Outputs", [(port.name, port.type.name, "") for port in spec.outputs.values()])
    facts = [f"version {spec.version}", f"of {spec.plugin} {spec.plugin_version}".rstrip()]
    facts += ["a sink: a run always reaches it"] * spec.output
    facts += ["runs each time"] * (not spec.cache)
    facts += [f"formerly {', '.join(spec.aliases)}"] * bool(spec.aliases)
    yield "; ".join(facts)


def _ports(title: str, rows: list[tuple[str, str, str]]) -> Iterator[str]:
    if not rows:
        return
    name, kind = (max(len(row[column]) for row in rows) for column in (0, 1))
    yield f"{title}:"
    indent = 2 + name + 2 + kind + 2
    for row in rows:
        head = f"  {row[0]:<{name}}  {row[1]:<{kind}}  "
        yield from _wrapped(head, row[2], indent)
    yield ""


def _wrapped(head: str, text: str, indent: int) -> Iterator[str]:
    """Break a long text at the terminal's edge; in a pipe each port is one line."""
    if not text or not sys.stdout.isatty():
        yield (head + text).rstrip()
        return
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, indent + 20)
    yield from textwrap.wrap(head + text, width, subsequent_indent=" " * indent, break_on_hyphens=False)


def _told(port: InputPort, runtime: Runtime) -> str:
    """Return what is to be known of an input: whether it must be given, its default, what fits."""
    parts = []
    if port.required:
        parts.append("required" if port.type.data else "required, by wire")
    elif port.default is not None:
        parts.append(f"default {json.dumps(port.type.dump(port.default)) if port.type.data else port.default}")
    else:
        parts.append("optional" if port.type.data else "optional, by wire")
    parts += ["worked out only if needed"] * port.lazy
    if port.body:
        parts.append("the name of a subgraph of the file")
    elif port.file is not None:
        parts.append(_some(runtime.folders.names(port.file), f"a file of {port.file}"))
    elif port.choices is not None:
        parts.append(_some(port.choices(), "a name"))
    elif port.type.data:
        parts.append(fits(port.type))
        parts += [str(text)] if (text := (port.type.schema or {}).get("description")) else []
    return "; ".join(parts)


def _some(names: tuple[str, ...], kind: str) -> str:
    if not names:
        return f"{kind}; there is none"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"one of {', '.join(names[:SHOWN])}{more}"
