"""The valid name that a wrong one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

COMPARED = 2000
"""Among more names than this only those that differ in case or folder are looked for: comparing takes too long."""


def _alike(name: str, other: str) -> bool:
    """Tell whether two names are the same but for a folder, or for a namespace that one of them has."""
    if name.rpartition("/")[2] == other.rpartition("/")[2]:
        return True
    return name.endswith(f".{other}") or other.endswith(f".{name}")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that comes nearest to `name`, or None if none is near.

    A name that differs in case, or only in the folder or namespace before it, is nearer than one spelled alike.
    """
    wanted = name.replace("\\", "/")
    known = sorted(set(names))
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    low = wanted.casefold()
    if low in folded:
        return folded[low]
    for plain in (str, str.casefold):
        alike = (candidate for candidate in known if wanted and _alike(plain(wanted), plain(candidate)))
        found = next(alike, None)
        if found is not None:
            return found
    if len(known) > COMPARED or len(name) > 200:
        return None
    close = get_close_matches(low, folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None
