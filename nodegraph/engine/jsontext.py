"""JSON as a workflow file may hold it: strict text, plain values, and the place of whatever is not."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.spec import Json

SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""Integers within these bounds are exact in any reader that knows 64-bit numbers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a workflow may be; a server lowers them, a script may raise them."""

    bytes: int = 64 * 2**20
    """Of a file's text."""
    depth: int = 100
    """Of lists and objects within each other."""
    nodes: int = 100_000
    """Once subgraphs are dissolved."""
    nesting: int = 32
    """Of subgraphs within each other."""


class _RefusedError(ValueError):
    """A literal or key that JSON text may not hold here."""


def parse_json(text: str | bytes, limits: Limits | None = None) -> Json:
    """Parse JSON text strictly.

    Raise `WorkflowError` with line and column for a syntax error, a duplicate key, NaN, Infinity, a number or text that
    cannot be kept, and text or nesting beyond the limits.
    """
    limits = limits or Limits()
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass"))
    if size > limits.bytes:
        _refuse("file_too_large", f"the file has {size} bytes; at most {limits.bytes} are read", size)
    decoded = _decode(text) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        value = json.loads(decoded, object_pairs_hook=_unique, parse_constant=_constant)
    except json.JSONDecodeError as error:
        what = "the file is empty" if not decoded.strip() else f"not JSON: {error.msg}"
        _refuse("invalid_json", f"{what} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        _refuse("too_deep", f"lists and objects are nested more than {limits.depth} deep{_deep(decoded, limits.depth)}")
    except _RefusedError as error:
        _refuse("invalid_json", f"{error}{_find(decoded, str(error))}")
    except ValueError:  # an integer of thousands of digits, which Python does not read
        _refuse("invalid_json", f"an integer of too many digits{_digits(decoded)}")
    check_json(value, limits)
    return value


def check_json(value: Json, limits: Limits | None = None) -> None:
    """Raise `WorkflowError` where a Python value is not plain, finite JSON within the limits."""
    problems = list(json_problems(value, (limits or Limits()).depth))
    if problems:
        raise WorkflowError(problems)


def json_problems(value: Json, depth: int) -> Iterator[Problem]:
    """Find what in a Python value is not plain, finite JSON, with its place: keys that are not text, NaN, cycles."""
    stack: list[tuple[Json, str, int]] = [(value, "", 0)]
    while stack:
        current, place, level = stack.pop()
        if isinstance(current, (dict, list)):
            if level >= depth:
                yield Problem("too_deep", f"lists and objects are nested more than {depth} deep", field=place)
                return
            if isinstance(current, dict):
                for key in current:
                    if not isinstance(key, str) or not _keepable(key):
                        yield Problem("invalid_json", f"the key {key!r} is not text", field=place or None, got=key)
                pairs: Iterator[tuple[object, Json]] = iter(current.items())
            else:
                pairs = iter(enumerate(current))
            for key, item in pairs:
                kind = type(item)
                if kind is bool or item is None or (kind is str and item.isascii()):
                    continue
                stack.append((item, f"{place}.{key}" if place else str(key), level + 1))
        else:
            wrong = scalar_problem(current)
            if wrong:
                yield Problem("invalid_json", wrong, field=place or None, got=current)


def scalar_problem(value: Json) -> str | None:
    """Return what is wrong with a value that is no list and no object, None if it is plain JSON."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if SMALLEST <= value <= LARGEST else f"the integer {_short(value)} needs more than 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, str):
        return None if _keepable(value) else f"the text {value[:40]!r} holds half a character (a lone surrogate)"
    return f"a {type(value).__name__} is not a JSON value"


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**30 else f"of {value.bit_length()} bits"


def _keepable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        _refuse("invalid_json", f"not UTF-8 text: byte {error.object[error.start]:#04x} at line {line}")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedError(f"the key {json.dumps(key)} stands twice in one object")
            seen.add(key)
    return found


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a JSON number")


def _refuse(code: str, message: str, got: object = None) -> NoReturn:
    raise WorkflowError([Problem(code, message, got=got)]) from None


_NUMBER = re.compile(r"[0-9]+")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN|[\[\]{}:,]', re.DOTALL)


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f" at line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _digits(text: str) -> str:
    most = sys.get_int_max_str_digits()
    return next((_place(text, found.start()) for found in _NUMBER.finditer(text) if len(found[0]) > most), "")


def _deep(text: str, depth: int) -> str:
    level = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            level += 1
            if level > depth:
                return _place(text, token.start())
        elif token[0] in "]}":
            level -= 1
    return ""


def _find(text: str, refusal: str) -> str:
    """Return where in the text the refused key or literal stands: it is read once more, which only errors cost."""
    keys: list[set[str] | None] = []
    tokens = list(_TOKEN.finditer(text))
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        word = token[0]
        if word in ("{", "["):
            keys.append(set() if word == "{" else None)
        elif word in ("}", "]"):
            keys.pop()
        elif word.endswith(("Infinity", "NaN")) and refusal.startswith(word):
            return _place(text, token.start())
        elif word[0] == '"' and following is not None and following[0] == ":":
            seen, key = keys[-1], json.loads(word, strict=False)
            if seen is not None and key in seen:
                return _place(text, token.start())
            if seen is not None:
                seen.add(key)
    return ""
