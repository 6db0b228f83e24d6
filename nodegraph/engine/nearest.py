"""The valid name that a wrong one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

COMPARED = 2000
"""Among more names than this only those that differ in case or folder are looked for: comparing takes too long."""


def _alike(name: str, names: Iterable[str]) -> str | None:
    """Return the first of `names` that is `name` but for a folder, or for a namespace that one of them has."""
    file, inner = f"/{name.rpartition('/')[2]}", f".{name}"
    for other in names:
        if f"/{other}".endswith(file) or other.endswith(inner) or name.endswith(f".{other}"):
            return other
    return None


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that comes nearest to `name`, or None if none is near.

    A name that differs in case, or only in the folder or namespace before it, is nearer than one spelled alike.
    """
    wanted = name.replace("\\", "/")
    known = sorted(set(names))
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    low = wanted.casefold()
    if not low or low in folded:
        return folded.get(low)
    found = _alike(wanted, known)
    if found is not None:
        return found
    found = _alike(low, sorted(folded))
    if found is not None:
        return folded[found]
    if len(known) > COMPARED or len(name) > 200:
        return None
    close = get_close_matches(low, folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None
