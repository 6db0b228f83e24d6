"""One type scale, one spacing scale, one set of corners and colours: the styles use the tokens' and no others."""

from __future__ import annotations

import re

from nodegraph import resources

STYLES = sorted(path for path in (resources.web() / "style").glob("*.css") if path.name != "tokens.css")
RULE = re.compile(r"(?<![\w-])(padding|margin|gap|row-gap|column-gap)(-[a-z]+)?: ([^;}]+)")
SIZE = re.compile(r"(?<![\w-])font(?:-size)?: ([^;}]+)")
CORNER = re.compile(r"border-radius: ([^;}]+)")
LENGTH = re.compile(r"(?<![\w-])\d*\.?\d+(px|rem)")
SMALLEST = {"1px", "1.5px", "2px"}
"""Hairlines, and the corners of marks that are hardly larger."""


def declarations(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Return what is declared, each with the file that does."""
    return [(path.name, match[0]) for path in STYLES for match in pattern.finditer(path.read_text(encoding="utf-8"))]


def odd(pattern: re.Pattern[str], allowed: str = "^$") -> list[tuple[str, str]]:
    """Return the declarations with a length that is no token, but for those allowed."""

    def lengths(text: str) -> set[str]:
        plain = re.sub(r"calc\([^;]*\)|max\([^;]*\)", "", text)  # sums of tokens, and of what geometry tells
        return {match[0] for match in LENGTH.finditer(plain)} - SMALLEST

    return [found for found in declarations(pattern) if lengths(found[1]) and not re.search(allowed, found[1])]


def test_spaces_are_of_one_scale() -> None:
    assert len(declarations(RULE)) > 200
    assert odd(RULE) == []


def test_sizes_of_text_are_of_one_scale() -> None:
    """Phones zoom in on a field whose text is smaller than 16 px; titles of nodes grow when the canvas is far."""
    assert len(declarations(SIZE)) > 40
    assert odd(SIZE, allowed=r": (1rem|18px|24px)$") == []


def test_corners_are_of_one_set() -> None:
    assert len(declarations(CORNER)) > 40
    assert odd(CORNER) == []


def test_colours_are_tokens() -> None:
    found = declarations(re.compile(r"#[0-9a-fA-F]{3,8}\b(?![^{}]*\{)|\brgba?\([^)]*\)|\bhsl\([^)]*\)"))
    assert found == []
