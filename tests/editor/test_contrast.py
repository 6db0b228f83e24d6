"""The colours of the editor, computed from its style: text is read at 4.5:1, marks at 3:1, in each theme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product

import pytest

from nodegraph import resources

THEMES = ("light", "dark")
TEXTS = ("text", "text-dim", "accent", "danger", "warn", "ok", "cached")
GROUNDS = ("bg", "canvas", "surface", "surface-2", "surface-3")
COLORS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
TYPES = [f"type-{hue}" for hue in range(12)]
Colors = Mapping[str, str]


def blocks() -> dict[str, Colors]:
    """Return the colours of each theme, and of each with more contrast, by token."""
    text = (resources.web() / "style" / "tokens.css").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^(:root[^{\n]*) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    plain, more = (
        re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", rules[name])
        for name in (":root", ':root[data-contrast="more"]')
    )
    found: dict[str, Colors] = {}
    for place, theme in enumerate(THEMES):
        found[theme] = {name: pair[place] for name, *pair in plain}
        found[f"{theme}, more contrast"] = {**found[theme], **{name: pair[place] for name, *pair in more}}
    return found


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def poor(colors: Colors, fronts: list[str], grounds: list[str], least: float) -> list[str]:
    """Return the pairs that are too close."""
    pairs = ((front, ground, contrast(colors[front], colors[ground])) for front, ground in product(fronts, grounds))
    return [f"--{front} on --{ground}: {found:.2f}" for front, ground, found in pairs if found < least]


BLOCKS = blocks()


def test_the_measure_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("block", BLOCKS)
def test_text_is_read_on_every_ground(block: str) -> None:
    assert poor(BLOCKS[block], list(TEXTS), list(GROUNDS), 4.5) == []
    assert poor(BLOCKS[block], ["accent-text"], ["accent"], 4.5) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_text_is_read_on_the_colours_of_nodes(block: str) -> None:
    assert poor(BLOCKS[block], ["text"], [f"color-{name}" for name in COLORS], 4.5) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_ports_links_fields_and_the_focus_are_seen(block: str) -> None:
    assert poor(BLOCKS[block], ["focus", *TYPES], list(GROUNDS[:4]), 3.0) == []
    assert poor(BLOCKS[block], ["line-strong"], ["bg", "canvas", "surface", "surface-2"], 3.0) == []


@pytest.mark.parametrize("theme", THEMES)
def test_more_contrast_is_more(theme: str) -> None:
    usual, more = BLOCKS[theme], BLOCKS[f"{theme}, more contrast"]
    assert poor(more, list(TEXTS), ["bg", "canvas", "surface", "surface-2"], 7.0) == []
    assert contrast(more["line"], more["surface"]) > 3 > contrast(usual["line"], usual["surface"])


def test_every_token_is_registered_as_a_colour() -> None:
    text = (resources.web() / "style" / "tokens.css").read_text(encoding="utf-8")
    registered = set(re.findall(r'@property --([\w-]+) \{ syntax: "<color>"', text))
    assert registered == set(BLOCKS["light"])
