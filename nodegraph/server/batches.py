"""What a batch varies, expanded to the inputs of each of its items. Nothing here reads a file or knows a request."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NoReturn

from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.jsontext import Limits as JsonLimits
from nodegraph.engine.jsontext import parse_json
from nodegraph.server.errors import ApiError

Json = Any
Inputs = dict[str, Json]
SUFFIXES: Final = (".txt", ".csv", ".json", ".jsonl")
TOO_MANY_TO_TELL: Final = 10**15


def product(lists: Mapping[str, Sequence[Json]], most: int) -> list[Inputs]:
    """Return each combination of the values, the last name's varying fastest."""
    _filled(lists, "product")
    count = 1
    for values in lists.values():
        count = min(count * len(values), TOO_MANY_TO_TELL)  # of half a million lists the product has as many digits
    _bounded(count, most, "product")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def zipped(lists: Mapping[str, Sequence[Json]], most: int) -> list[Inputs]:
    """Return the first values together, the second ones, and so on; the lists are equally long."""
    _filled(lists, "zip")
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        _refuse("zip", "unequal_lengths", f"the lists of a zip must be equally long: {told}")
    _bounded(max(lengths.values()), most, "zip")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def listed(items: Sequence[Mapping[str, Json]], most: int) -> list[Inputs]:
    """Return items that are written out."""
    if not items:
        _refuse("list", "empty", "the list has no item")
    _bounded(len(items), most, "list")
    return [dict(item) for item in items]


def from_file(name: str, data: bytes, input: str | None, most: int, *, text: Collection[str] = ()) -> list[Inputs]:
    """Return the items of a file: `.txt` has a value of `input` a line, `.csv` a row of inputs below their names,
    `.json` a list and `.jsonl` lines of objects or of values of `input`.

    A cell of a CSV file is the text itself for the inputs named in `text`; for others it is read as JSON where it is
    JSON, and left out where it is empty.
    """
    suffix = next((end for end in SUFFIXES if name.lower().endswith(end)), None)
    if suffix is None:
        _refuse("file", "unknown_format", f"{name!r} does not end in {', '.join(SUFFIXES)}")
    content = _text(name, data)
    if suffix == ".csv":
        found = _rows(name, content, most, text)
    else:
        values = _values(name, suffix, content, most)
        found = [_item(name, value, input, place) for place, value in enumerate(values, 1)]
    if not found:
        _refuse("file", "empty", f"{name!r} has no item")
    return found


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse("file", "not_utf8", f"{name!r} is not UTF-8 text: line {line}")


def _values(name: str, suffix: str, text: str, most: int) -> list[Json]:
    if suffix == ".json":
        values = _json(name, text, 0)
        if not isinstance(values, list):
            _refuse("file", "no_list", f"{name!r} is no JSON list")
        _bounded(len(values), most, "file")
        return values
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    _bounded(len(lines), most, "file")
    return [line if suffix == ".txt" else _json(name, line, number) for number, line in lines]


def _item(name: str, value: Json, input: str | None, place: int) -> Inputs:
    if isinstance(value, dict) and input is None:
        return value
    if input is None:
        _refuse(
            "file", "no_input", f"item {place} of {name!r} is no object: `input` must name the input that it is for"
        )
    return {input: value}


def _rows(name: str, text: str, most: int, textual: Collection[str]) -> list[Inputs]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [title.strip() for title in next(rows, [])]
        if not all(head) or len(set(head)) < len(head):
            _refuse("file", "bad_head", f"the first row of {name!r} must name an input in each column, each once")
        found: list[Inputs] = []
        for row in filter(None, rows):
            if len(row) != len(head):
                told = f"line {rows.line_num} of {name!r} has {len(row)} cells, the first row has {len(head)}"
                _refuse("file", "bad_row", told)
            cells = zip(head, row, strict=True)
            found.append({title: _cell(cell, title in textual) for title, cell in cells if cell or title in textual})
            _bounded(len(found), most, "file")
    except csv.Error as error:
        _refuse("file", "bad_csv", f"line {rows.line_num} of {name!r} is no CSV: {error}")
    return found


def _cell(cell: str, textual: bool) -> Json:
    if textual:
        return cell
    try:
        return parse_json(cell)
    except WorkflowError:
        return cell  # the check tells what would fit


def _json(name: str, text: str, line: int) -> Json:
    try:
        return parse_json(text, JsonLimits())
    except WorkflowError as error:
        place = f"line {line} of {name!r}" if line else repr(name)
        _refuse("file", "invalid_json", f"{place}: {error.problems[0].message}")


def _filled(lists: Mapping[str, Sequence[Json]], field: str) -> None:
    empty = [name for name, values in lists.items() if not values]
    if not lists or empty:
        what = f"the list of {json.dumps(empty[0])} is empty" if empty else "no input is named"
        _refuse(field, "empty", f"{what}: a {field} needs at least one value of each")


def _bounded(count: int, most: int, field: str) -> None:
    if count > most:
        _refuse(field, "too_many", f"that makes {_many(count)} items; a batch has at most {most}")


def _many(count: int) -> str:
    return str(count) if count < TOO_MANY_TO_TELL else "more than 10^15"


def _refuse(field: str, code: str, message: str) -> NoReturn:
    problem = {"code": code, "message": message, "field": f"over.{field}"}
    raise ApiError(422, "invalid_batch", message, problems=[problem]) from None
