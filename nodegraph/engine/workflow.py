"""Workflow files: read, and written whole or not at all.

Loading is lenient where it can be: an entry that is wrong is left out and told in `Workflow.problems`, so that a check
can tell everything that is wrong with a file at once. Only what is no workflow at all is refused here.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nodegraph.engine.document import FORMAT, NodeEntry, Place, Subgraph, Workflow
from nodegraph.engine.errors import Problem, Problems, WorkflowError, told
from nodegraph.engine.jsontext import Limits, check_json, parse_json
from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import Json

__all__ = ["FORMAT", "Limits", "NodeEntry", "Subgraph", "Workflow", "load_workflow", "read_native", "save_workflow"]

Reader = Callable[[Json], Workflow | None]
"""Reads another format from parsed JSON; None where the document is not of that format."""


def load_workflow(
    source: str | Path | bytes | Mapping[str, Json] | Workflow,
    limits: Limits | None = None,
    *,
    reader: Reader | None = None,
) -> Workflow:
    """Load a workflow from a file, from JSON text (bytes, or text that begins with `{`) or from parsed JSON.

    `reader` may know further formats. Raise `WorkflowError` for what is no workflow; entries that are wrong are left
    out and stand in `Workflow.problems`, which `check` reports.
    """
    if isinstance(source, Workflow):
        return source
    limits = limits or Limits()
    if isinstance(source, Mapping):
        document = dict(source)
        _refuse_many(document, limits)
        check_json(document, limits)
    else:
        document = parse_json(_text(source, limits), limits)
    if reader is not None:
        found = reader(document)
        if found is not None:
            return found
    return read_native(document)


def _refuse_many(document: Mapping[str, Json], limits: Limits) -> None:
    """Raise `WorkflowError` before a far too large document is looked at any closer."""
    for entries in (document, document.get("nodes")):
        if isinstance(entries, (Mapping, list)) and len(entries) > limits.nodes:
            message = f"the workflow has {len(entries)} nodes; at most {limits.nodes} are allowed"
            raise WorkflowError([Problem("too_many_nodes", message, field="nodes")])


def _text(source: str | Path | bytes, limits: Limits) -> str | bytes:
    if isinstance(source, bytes) or (isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("{")):
        return source
    path = Path(source)
    with path.open("rb") as file:
        return file.read(limits.bytes + 1)


def save_workflow(workflow: Workflow, path: str | Path) -> None:
    """Write a workflow file; a failure leaves what was there before.

    Raise `WorkflowError` for a workflow that was read with problems: what was left out of it would be lost.
    """
    if workflow.problems:
        raise WorkflowError(workflow.problems)
    target = Path(path)
    text = json.dumps(workflow.dump(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(target.stat().st_mode if target.exists() else 0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_native(document: Json) -> Workflow:
    """Read a workflow of our own format from parsed JSON; raise `WorkflowError` for what is no workflow."""
    if not isinstance(document, Mapping):
        raise WorkflowError([Problem("not_a_workflow", f"a workflow is a JSON object; got {told(document)}")])
    _check_format(document)
    try:
        return Workflow.model_validate(document)
    except ValidationError as error:
        return _without_wrong(document, error)


def _check_format(document: Mapping[str, Json]) -> None:
    if "format" not in document:
        message = f'no workflow of a format known here: a workflow has "format": {FORMAT} and "nodes"'
        if isinstance(document.get("nodes"), list) and isinstance(document.get("links"), list):
            message += "; this looks like a file of ComfyUI's editor: export it in the API format, which is read"
        raise WorkflowError([Problem("not_a_workflow", message)])
    number = document["format"]
    if type(number) is int and number == FORMAT:
        return
    message = f"this nodegraph reads workflows of format {FORMAT}; got {told(number)}"
    if type(number) is int and number > FORMAT:
        message = f"the workflow has format {number}, of a newer nodegraph; this one reads format {FORMAT}: update it"
    raise WorkflowError([Problem("unknown_format", message, field="format", got=number, expected=str(FORMAT))])


def _without_wrong(document: Mapping[str, Json], error: ValidationError) -> Workflow:
    """Read what is right of a workflow, with what is wrong left out and told."""
    kept: dict[str, Json] = _copy(document)
    problems, dropped, misspelled = Problems(), set[Place](), set[Place]()
    while True:
        progress = False
        for detail in error.errors(include_url=False):
            place, cut = _cut(kept, tuple(str(key) for key in detail["loc"]))
            progress |= cut
            if place in dropped:
                continue
            dropped.add(place)
            if place in misspelled:
                continue
            problems.append(_problem(place, detail, _at(document, place)))
            if problems[-1].nearest in ("type", "graph"):  # the node that then lacks its type is told already
                misspelled.add(place[:-1])
        try:
            return Workflow.model_validate(kept).noting(problems, dropped)
        except ValidationError as further:
            if not progress:
                raise WorkflowError(problems) from further
            error = further


def _copy(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _at(document: Mapping[str, Json], place: Place) -> Json:
    value: Json = document
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _scope(place: Place) -> int:
    """Return how many keys of a place lead to the innermost subgraph that it is in."""
    start = 0
    while place[start] == "subgraphs" and len(place) > start + 2 and place[start + 2] != "[key]":
        start += 2
    return start


def _cut(document: dict[str, Json], loc: Place) -> tuple[Place, bool]:
    """Take the smallest part that can be missed around an error out of the document; return its place, and whether."""
    start = _scope(loc)
    rest = loc[start:]
    length = 2 if len(rest) > 1 and rest[0] in ("nodes", "inputs", "outputs", "subgraphs") else 1
    if rest[0] == "nodes" and len(rest) > 2 and rest[2] not in ("type", "graph", "[key]"):
        length = 4 if len(rest) > 3 and rest[2] in ("params", "links") else 3
    place = loc[: start + length]
    holder = _at(document, place[:-1])
    if not isinstance(holder, dict):
        return place, False
    if length == 1 and place[-1] == "nodes":  # which must be there
        cut, holder["nodes"] = holder.get("nodes") != {}, {}
        return place, cut
    return place, holder.pop(place[-1], place) is not place


_WHAT = {
    "nodes": "an object of nodes by id",
    "params": "an object of values by input name",
    "links": "an object of 'node.output' by input name",
    "inputs": "an object of 'node.input' by name",
    "outputs": "an object of 'node.output' by name",
    "subgraphs": "an object of subgraphs by name",
    "view": "an object",
    "meta": "an object",
    "mode": "'mute' or 'bypass'",
}
_KEYS = {"node": tuple(NodeEntry.model_fields), "subgraph": tuple(Subgraph.model_fields)}


def _problem(place: Place, detail: ErrorDetails, got: Json) -> Problem:
    """Tell what is wrong at a place of the file."""
    start = _scope(place)
    rest = place[start:]
    node, field = None, ".".join(place)
    if start == 0 and rest[0] == "nodes" and len(rest) > 1:
        node, field = place[1], ".".join(place[2:])
    code, message, expected, near = "invalid_entry", "", None, None
    if detail["type"] == "extra_forbidden":
        keys = _KEYS["node"] if len(rest) == 3 else (*(() if start else ("format",)), *_KEYS["subgraph"])
        code, expected, near = "unknown_key", ", ".join(keys), nearest(place[-1], keys)
        message = f"unknown key {place[-1]!r}; what may stand here is {expected}"
    elif detail["loc"][-1] == "[key]":
        message, expected = _bad_name(rest)
    elif detail["type"] == "missing":
        message, expected = f"there are no {place[-1]!r}: {_WHAT[place[-1]]}", _WHAT[place[-1]]
    else:
        message, expected = _bad_value(rest, detail, got)
    return Problem(code, message, node=node, field=field or None, got=got, expected=expected, nearest=near)


def _bad_name(rest: Place) -> tuple[str, str]:
    kind = {"nodes": "a node id", "subgraphs": "the name of a subgraph"}.get(rest[0], "a name")
    letters = "letters, digits, '_', '-'" + (" and ':'" if rest[0] in ("nodes", "subgraphs") else ", not a digit first")
    return f"{rest[1]!r} is not {kind}: {letters} make one", letters


def _bad_value(rest: Place, detail: ErrorDetails, got: Json) -> tuple[str, str]:
    last = rest[-1]
    if len(rest) == 2 and rest[0] == "nodes":
        key = detail["loc"][-1]
        if isinstance(got, Mapping) and key in ("type", "graph"):
            return f"{key!r} is text; got {told(got.get(key))}", "text"
        kinds = "an object with either a 'type' or, as an instance of a subgraph, a 'graph'"
        keys = ", ".join(map(repr, got)) if isinstance(got, Mapping) else ""
        return f"a node is {kinds}; got {f'one with {keys}' if keys else told(got)}", kinds
    if len(rest) == 4:
        return f"a link is 'node.output'; got {told(got)}", "'node.output'"
    if len(rest) == 2 and rest[0] in ("inputs", "outputs"):
        what = "'node.input' or a list of these" if rest[0] == "inputs" else "'node.output'"
        return f"what stands here is {what}; got {told(got)}", what
    if len(rest) == 2:
        return f"a subgraph is an object with 'nodes'; got {told(got)}", "an object with 'nodes'"
    what = _WHAT.get(last, detail["msg"])
    return f"{last!r} is {what}; got {told(got)}", what
