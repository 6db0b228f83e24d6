"""The valid name that a wrong one was probably meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

COMPARED = 2000
"""Among more names than this only those that differ in case or folder are looked for: comparing takes too long."""


def _last(name: str) -> str:
    return re.split(r"[./\\]", name)[-1] if not name.endswith(".safetensors") else re.split(r"[/\\]", name)[-1]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that comes nearest to `name`, or None if none is near.

    A name that differs in case, or only in the folder or namespace before it, is nearer than one spelled alike.
    """
    known = sorted(set(names))
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    wanted = name.replace("\\", "/").casefold()
    if wanted in folded:
        return folded[wanted]
    tail = _last(wanted)
    for candidate in known:
        if tail and _last(candidate.casefold()) == tail:
            return candidate
    if len(known) > COMPARED or len(name) > 200:
        return None
    close = get_close_matches(wanted, folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None
