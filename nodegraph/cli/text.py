"""Quantities as people read them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def duration(seconds: float) -> str:
    """Return a time span: `0.35 s`, `4.2 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: float) -> str:
    """Return a number of bytes in powers of 1024: `812 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def number(count: int) -> str:
    """Return a large count in short: `859.5 M`."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return str(count)


def rate(per_second: float) -> str:
    """Return how fast steps go: `3.4 it/s`, or `2.1 s/it` where one takes longer than a second."""
    if per_second <= 0:
        return ""
    return f"{per_second:.1f} it/s" if per_second >= 1 else f"{1 / per_second:.1f} s/it"


def several(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 node`, `3 nodes`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def among(choices: Sequence[object]) -> str:
    """Return what may be chosen, to stand after a question: ` ("go on" or "stop")`; nothing where all may."""
    return f" ({' or '.join(json.dumps(choice, ensure_ascii=False) for choice in choices)})" if choices else ""
