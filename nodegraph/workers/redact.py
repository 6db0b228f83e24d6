"""What went wrong, as a user may read it: without paths, secrets and tracebacks; the whole of it is in the log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Final

LONGEST: Final = 2000
"""Characters of a message."""
HIDDEN: Final = "[...]"
_LEAST: Final = 8
"""Characters from which on a value of the environment is taken for one that nobody else says by chance."""
_SECRET_NAME: Final = re.compile(r"token|secret|passw|key|credential|auth", re.IGNORECASE)
_TRACEBACK: Final = re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL)
_FRAME: Final = re.compile(r'^\s*File "[^"]*", line \d+.*$', re.MULTILINE)
_SECRETS: Final = (
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"\b(?:Bearer|Basic)\s+[\w.~+/=-]{6,}"),
    re.compile(r"(?i)\b(?:api[_-]?key|token|secret|password|passwd|pwd)\b\s*[=:]\s*[^\s,;&]+"),
    re.compile(r"\b(?:sk|pk|rk|hf|ghp|gho|ghs|ghu|glpat|github_pat|xox[abprs])[-_][\w-]{8,}"),
    re.compile(r"\bAKIA[0-9A-Z]{12,}\b"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{32,}\b"),
)
_PATHS: Final = (
    re.compile(r"(?:file://(?=/)|(?<![\w.~\]:/]))~?/(?:[^\s/'\"<>|:;,()\[\]{}]+/)*[^\s'\"<>|:;,()\[\]{}]+"),
    re.compile(r"(?<![\w])[A-Za-z]:[\\/][^\s'\"<>|:;,()\[\]{}]+"),
    re.compile(r"\\\\[\w.$-]+\\[^\s'\"<>|:;,()\[\]{}]+"),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Redactor:
    """Takes out of a text what its reader is not meant to know.

    `folders` are those whose files users know by name, by what they are called: a path below one is shown from that
    name on. Any other absolute path, the values of `environment`, tokens, credentials and tracebacks go.
    """

    def __init__(self, folders: Mapping[str, Sequence[Path]], environment: Mapping[str, str]) -> None:
        self._folders = _longest_first(_known(folders))
        self._values = sorted(_telling(environment), key=len, reverse=True)

    def knowing(self, folders: Mapping[str, Sequence[Path]]) -> Redactor:
        """Return one that knows further folders."""
        other = copy(self)
        other._folders = _longest_first(dict(self._folders) | _known(folders))
        return other

    def __call__(self, text: str) -> str:
        """Return the text for users, at most `LONGEST` characters."""
        text = _TRACEBACK.sub("", text[: 4 * LONGEST])
        text = _FRAME.sub("", text)
        for path, name in self._folders:
            text = re.sub(rf"{re.escape(path)}(?=[/\\]|\b|$)", name, text)
        for pattern in _PATHS:
            text = pattern.sub(HIDDEN, text)
        for pattern in _SECRETS:
            text = pattern.sub(HIDDEN, text)
        for value in self._values:
            text = text.replace(value, HIDDEN)
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _known(folders: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Return what to call each absolute folder, by its path as given and with its links resolved."""
    given = {path: name for name, paths in folders.items() for path in paths if len(path.parts) > 1}
    known = {path: name for path, name in given.items() if path.is_absolute()}
    return {str(path): name for path, name in known.items()} | {str(p.resolve()): name for p, name in known.items()}


def _longest_first(known: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(known.items(), key=lambda pair: -len(pair[0]))


def _telling(environment: Mapping[str, str]) -> set[str]:
    """Return the values of the environment that a text holds only where it tells them."""
    found = set()
    for name, value in environment.items():
        secret = _SECRET_NAME.search(name) is not None
        if len(value) >= (4 if secret else _LEAST) and not value.isdecimal():
            found.add(value)
    return found
