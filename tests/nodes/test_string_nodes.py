"""Nodes for texts and for showing values, called as the functions that they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph import Context
from nodegraph.diffusion.values import Mask
from nodegraph.engine.events import Event, Output
from nodegraph.engine.folders import Folders
from nodegraph.nodes import strings as nodes
from nodegraph.nodes.texts import preview_any

TEXT = "a Cat1, a Dog22\na bird"


def test_texts_are_joined_cut_and_counted() -> None:
    assert nodes.string_concatenate("a", "b", ", ") == "a, b"
    assert nodes.string_substring("abcdef", 1, -1) == "bcde"
    assert nodes.string_length("grün") == 4
    assert nodes.string_replace("a.b.c", ".", "") == "abc"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("UPPERCASE", "A SMALL WORD"), ("lowercase", "a small word"), ("Capitalize", "A small word"),
     ("Title Case", "A Small Word")],
)  # fmt: skip
def test_letters_become_large_and_small(mode: str, expected: str) -> None:
    assert nodes.case_converter("a sMALL word", mode) == expected


@pytest.mark.parametrize(("mode", "expected"), [("Both", "a"), ("Left", "a \n"), ("Right", "\t a")])
def test_ends_are_trimmed(mode: str, expected: str) -> None:
    assert nodes.string_trim("\t a \n", mode) == expected


def test_texts_are_compared() -> None:
    assert nodes.string_contains("A Cat", "cat", case_sensitive=False)
    assert not nodes.string_contains("A Cat", "cat")
    assert nodes.string_compare("Hello", "he", "Starts With", case_sensitive=False)
    assert nodes.string_compare("Hello", "lo", "Ends With")
    assert not nodes.string_compare("Hello", "hello", "Equal")


def test_patterns_fit_or_do_not() -> None:
    assert nodes.regex_match(TEXT, "CAT")
    assert not nodes.regex_match(TEXT, "CAT", case_insensitive=False)
    assert nodes.regex_match(TEXT, "^a bird$", multiline=True)
    assert not nodes.regex_match(TEXT, "^a bird$")
    assert nodes.regex_match(TEXT, "Cat.*bird", dotall=True)
    assert not nodes.regex_match(TEXT, "Cat.*bird")


@pytest.mark.parametrize(
    ("pattern", "mode", "group", "expected"),
    [
        (r"[a-z]+\d+", "First Match", 1, "Cat1"),
        (r"[a-z]+\d+", "All Matches", 1, "Cat1\nDog22"),
        (r"([a-z]+)(\d+)", "All Matches", 1, "Cat\nDog"),
        (r"([a-z]+)(\d+)", "First Group", 2, "1"),
        (r"([a-z]+)(\d+)", "First Group", 0, "Cat1"),
        (r"([a-z]+)(\d+)", "All Groups", 2, "1\n22"),
        (r"([a-z]+)(\d+)", "All Groups", 3, ""),
        (r"nothing", "First Match", 1, ""),
        (r"nothing", "All Matches", 1, ""),
    ],
)
def test_what_fits_is_taken_out(pattern: str, mode: str, group: int, expected: str) -> None:
    assert nodes.regex_extract(TEXT, pattern, mode, group_index=group) == expected


def test_what_fits_is_replaced() -> None:
    assert nodes.regex_replace(TEXT, r"(\w)\d+", r"\1#") == "a Cat#, a Dog#\na bird"
    assert nodes.regex_replace(TEXT, "a", "-", count=1, case_insensitive=False) == TEXT.replace("a", "-", 1)


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match=r"regex_pattern '\(' is no regular expression: missing \)"):
        nodes.regex_match("a", "(")
    with pytest.raises(ValueError, match=r"replace '\\\\2': invalid group reference"):
        nodes.regex_replace("a", "(a)", r"\2")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("grün", "grün"), (3, "3"), (0.5, "0.5"), (True, "true"), (None, "null"), ([1, "a"], '[\n  1,\n  "a"\n]'),
     (Mask(torch.zeros(1, 2, 3)), "Mask(values=float32 (1, 2, 3))")],
)  # fmt: skip
def test_any_value_is_shown_as_a_text(tmp_path: Path, value: object, expected: str) -> None:
    told: list[Event] = []
    preview_any(Context(folders=Folders({"temp": [tmp_path]}), emit=told.append), value)
    output = next(event for event in told if isinstance(event, Output))
    assert output.value == expected
    assert output.file.read_text(encoding="utf-8") == expected
