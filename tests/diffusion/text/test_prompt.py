"""Prompt weights are read as ComfyUI and A1111 read them, and no text is refused."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodegraph.diffusion.text.prompt import Break, EmbeddingName, Words, parse_prompt, parse_weights

BRACKETED = st.lists(
    st.sampled_from(["(", ")", "[", "]", ":", "\\", "a", " b", "1.5", ":1.2)", "-", "\n", ",", "BREAK", "embedding:x"])
    | st.characters(exclude_characters="\ue000\ue001"),
    max_size=30,
).map("".join)


def weighted(text: str, style: str = "comfy") -> list[tuple[str, float]]:
    pieces = parse_weights(text, style)  # type: ignore[arg-type]
    return [("BREAK", -1) if isinstance(piece, Break) else (piece.text, round(piece.weight, 6)) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a cat", [("a cat", 1)]),
        ("a (red) cat", [("a ", 1), ("red", 1.1), (" cat", 1)]),
        ("((red))", [("red", 1.21)]),
        ("(red:1.3)", [("red", 1.3)]),
        ("(a (b) c:1.5)", [("a ", 1.5), ("b", 1.65), (" c", 1.5)]),
        ("((a:1.2) b:1.5)", [("a", 1.2), (" b", 1.5)]),  # a number replaces what the outer brackets say
        ("(a: -0.5 )", [("a", -0.5)]),
        ("(at 10:30:1.2)", [("at 10:30", 1.2)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
        ("()", []),
        ("[a]", [("[a]", 1)]),
        (r"\(a\)", [("(a)", 1)]),
        (r"(a \(b\):1.5)", [("a (b)", 1.5)]),
        (r"a \ b \\", [(r"a \ b \\", 1)]),
        ("(a:nan) (b:inf)", [("a:nan", 1.1), (" ", 1), ("b:inf", 1.1)]),
    ],
)
def test_comfy_reading(text: str, expected: list[tuple[str, float]]) -> None:
    assert weighted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(", [("(", 1)]),
        (")", [(")", 1)]),
        ("(a b", [("(a b", 1)]),
        ("a (b (c) d", [("a ", 1), ("(b (c) d", 1)]),
        ("(a (b)", [("a ", 1.1), ("(b", 1.1)]),  # the last bracket of the text closes the first
        (r"(a\)", [("(a)", 1)]),
        ("a) (b) c", [("a) (b) c", 1)]),  # one closed too many unmakes the next opening one
        ("a) ((b)) c", [("a) (", 1), ("b", 1.1), (") c", 1)]),
        (")(a))((b)", [(")(a))((b)", 1)]),
    ],
)
def test_comfy_reading_of_brackets_that_do_not_match(text: str, expected: list[tuple[str, float]]) -> None:
    assert weighted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("(a) [b]", [("a", 1.1), (" ", 1), ("b", 0.909091)]),
        ("((a)) [[b]]", [("a", 1.21), (" ", 1), ("b", 0.826446)]),
        ("((a:1.2) b:1.5)", [("a", 1.8), (" b", 1.5)]),  # numbers multiply
        ("(a:.5) (b: -1 )", [("a", 0.5), (" ", 1), ("b", -1)]),
        (r"\(a\) \[b\] \\", [(r"(a) [b] \ ".rstrip(), 1)]),
        ("(a", [("a", 1.1)]),
        ("[a", [("a", 0.909091)]),
        ("a) ] b:1.3)", [("a) ] b:1.3)", 1)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 0.909091)]),
        ("(a:1)b", [("ab", 1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("a BREAK b", [("a", 1), ("BREAK", -1), ("b", 1)]),
        ("(a BREAK b)", [("a", 1.1), ("BREAK", -1), ("b", 1.1)]),
        ("BREAKFAST", [("BREAKFAST", 1)]),
    ],
)
def test_a1111_reading(text: str, expected: list[tuple[str, float]]) -> None:
    assert weighted(text, "a1111") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding:bad", [EmbeddingName("bad")]),
        ("a embedding:bad b", [Words("a"), EmbeddingName("bad"), Words(" b")]),
        ("a\nembedding:bad, b", [Words("a"), EmbeddingName("bad"), Words(", b")]),
        ("(embedding:bad:1.2)", [EmbeddingName("bad", 1.2)]),
        ("embedding:x embedding:y.pt", [EmbeddingName("x"), EmbeddingName("y.pt")]),
        ("reembedding:x", [Words("reembedding:x")]),
        ("an embedding:", [Words("an"), Words(" embedding:")]),
        ("embedding:,", [Words("embedding:,")]),
    ],
)
def test_embeddings_are_called_by_name(text: str, expected: list[Words | EmbeddingName]) -> None:
    assert list(parse_prompt(text)) == expected


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="'sdxl': expected 'comfy' or 'a1111'"):
        parse_prompt("a", "sdxl")  # type: ignore[arg-type]


def by_recursion(text: str, weight: float = 1.0) -> list[tuple[str, float]]:
    """Read weights by ComfyUI's rule said plainly, on a text whose escapes are private characters."""
    parts, part, depth = [], "", 0
    for letter in text:
        if letter == "(":
            if depth == 0:
                parts.append(part)
                part = ""
            depth += 1
        depth -= letter == ")"
        part += letter
        if letter == ")" and depth == 0:
            parts.append(part)
            part = ""
    pieces: list[tuple[str, float]] = []
    for whole in filter(None, [*parts, part]):
        if not (whole.startswith("(") and whole.endswith(")")):
            pieces.append((whole, weight))
            continue
        inner, colon, number = whole[1:-1].rpartition(":")
        try:
            own = float(number) if colon and inner else None
        except ValueError:
            own = None
        if own is None or not math.isfinite(own):
            inner, own = whole[1:-1], weight * 1.1
        pieces += by_recursion(inner, own)
    return pieces


@settings(deadline=None)
@given(BRACKETED)
@example("(a)(b:2)) ((c:3) d")
def test_comfy_reading_is_the_plain_rule_on_any_text(text: str) -> None:
    hidden = text.replace(r"\(", "\ue000").replace(r"\)", "\ue001")
    expected = [(part.replace("\ue000", "(").replace("\ue001", ")"), weight) for part, weight in by_recursion(hidden)]
    assert [(piece.text, piece.weight) for piece in parse_weights(text) if isinstance(piece, Words)] == expected


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="()[]\\")), st.sampled_from(["comfy", "a1111"]))
def test_text_without_brackets_is_kept(text: str, style: str) -> None:
    pieces = parse_weights(text.replace("BREAK", ""), style)  # type: ignore[arg-type]
    assert "".join(piece.text for piece in pieces if isinstance(piece, Words)) == text.replace("BREAK", "")


@settings(deadline=None)
@given(st.text(), st.sampled_from(["comfy", "a1111"]))
def test_escaped_text_is_literal(text: str, style: str) -> None:
    text = text.replace("\\", "").replace("BREAK", "")
    escaped = "".join(f"\\{letter}" if letter in ("()" if style == "comfy" else "()[]") else letter for letter in text)
    assert parse_weights(escaped, style) == ([Words(text)] if text else [])  # type: ignore[arg-type]


@settings(deadline=None)
@given(BRACKETED | st.text(st.characters(exclude_categories=[])), st.sampled_from(["comfy", "a1111"]))
def test_any_text_gives_finite_weights_and_pieces_with_content(text: str, style: str) -> None:
    for piece in parse_prompt(text, style):  # type: ignore[arg-type]
        if not isinstance(piece, Break):
            assert math.isfinite(piece.weight)
            assert piece.text if isinstance(piece, Words) else piece.name


@pytest.mark.parametrize("style", ["comfy", "a1111"])
@pytest.mark.parametrize("text", ["(" * 20000 + "a" + ")" * 20000, "(a" * 20000, "(a" * 20000 + ")", ")(" * 20000])
def test_deep_nesting_is_read_in_linear_time(style: str, text: str) -> None:
    began = time.perf_counter()
    parse_prompt(text, style)  # type: ignore[arg-type]
    assert time.perf_counter() - began < 5
