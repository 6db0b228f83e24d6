"""Chunks hold every token once, in order, between start and end; short pieces stay whole."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.diffusion.text.chunks import KEPT_WHOLE, TokenCount, TokenizedPrompt, count_tokens, tokenize_prompt
from nodegraph.diffusion.text.prompt import Words, parse_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer

PROMPTS = st.lists(
    st.sampled_from(["(", ")", ":1.3)", ",", "BREAK", "\\(", " "]) | st.text(string.ascii_letters, max_size=100),
    max_size=12,
).map("".join)
STYLES = st.sampled_from(["comfy", "a1111"])
any_prompt = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(prompt: TokenizedPrompt) -> list[str]:
    """Return the text of each chunk, without start, end and padding."""
    return ["".join(map(chr, chunk.tokens[1 : chunk.tokens.index(2, 1)])) for chunk in prompt.chunks]


def test_an_empty_prompt_is_one_empty_chunk(letters: Tokenizer) -> None:
    prompt = tokenize_prompt("", letters)
    assert prompt.chunks == (prompt.empty,)
    assert prompt.empty.tokens == (1, *[2] * 76)
    assert prompt.count == TokenCount(tokens=0, chunks=1, limit=75)
    assert not prompt.weighted


def test_a_short_chunk_ends_and_is_padded(letters: Tokenizer) -> None:
    prompt = tokenize_prompt("a (bc:1.5)", letters, pad=0)
    (chunk,) = prompt.chunks
    assert chunk.tokens == (1, *map(ord, "abc"), 2, *[0] * 72)
    assert chunk.weights == (1, 1, 1.5, 1.5, *[1] * 73)
    assert prompt.empty.tokens == (1, 2, *[0] * 75)
    assert prompt.weighted


def test_tokens_are_counted_in_clips_vocabulary_unless_another_is_given(letters: Tokenizer) -> None:
    assert count_tokens("a [cat]") == TokenCount(tokens=4, chunks=1, limit=75)
    assert count_tokens("a [cat]", style="a1111").tokens == 2
    assert count_tokens("a [cat]", letters).tokens == 6


def test_75_tokens_fill_a_chunk_and_the_76th_starts_another(letters: Tokenizer) -> None:
    assert rows(tokenize_prompt("x" * 75, letters)) == ["x" * 75]
    assert rows(tokenize_prompt("x" * 76, letters)) == ["x" * 75, "x"]
    assert count_tokens("x" * 76, letters) == TokenCount(tokens=76, chunks=2, limit=150)


def test_a_short_piece_is_not_parted_and_a_long_one_is(letters: Tokenizer) -> None:
    assert rows(tokenize_prompt("x" * 70 + "(abcdefg)", letters)) == ["x" * 70, "abcdefg"]
    assert rows(tokenize_prompt("x" * 70 + "(abcdefgh)", letters)) == ["x" * 70 + "abcde", "fgh"]
    assert rows(tokenize_prompt("x" * 75 + "(abcdefgh)", letters)) == ["x" * 75, "abcdefgh"]


def test_a_piece_longer_than_a_tiny_chunk_is_parted(letters: Tokenizer) -> None:
    assert rows(tokenize_prompt("abcdefg", letters, length=5)) == ["abc", "def", "g"]


def test_a1111_starts_a_chunk_at_break(letters: Tokenizer) -> None:
    prompt = tokenize_prompt("ab BREAK (c:2)", letters, style="a1111")
    assert rows(prompt) == ["ab", "c"]
    assert prompt.count == TokenCount(tokens=3, chunks=2, limit=150)
    assert rows(tokenize_prompt("BREAK", letters, style="a1111")) == [""]
    assert rows(tokenize_prompt("ab BREAK (c:2)", letters)) == ["abBREAKc"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 60 + "," + "y" * 14, ["x" * 60 + "," + "y" * 14]),
        ("x" * 60 + "," + "y" * 15, ["x" * 60 + ",", "y" * 15]),
        ("x" * 55 + "," + "y" * 20, ["x" * 55 + ",", "y" * 20]),
        ("x" * 54 + "," + "y" * 21, ["x" * 54 + "," + "y" * 20, "y"]),  # one token too far
        ("x" * 74 + ",y", ["x" * 74 + ",", "y"]),
        ("x" * 75 + ",y", ["x" * 75, ",y"]),
        ("a," + "x" * 75, ["a," + "x" * 73, "xx"]),
    ],
)
def test_a1111_ends_a_full_chunk_after_a_near_comma(text: str, expected: list[str], letters: Tokenizer) -> None:
    assert rows(tokenize_prompt(text, letters, style="a1111")) == expected


def test_unknown_embeddings_are_told_once_each(letters: Tokenizer) -> None:
    prompt = tokenize_prompt("a embedding:bad, embedding:worse (embedding:bad:1.2)", letters)
    assert prompt.missing_embeddings == ("bad", "worse")
    assert rows(prompt) == ["a,"]


def test_a_chunk_without_room_is_refused(letters: Tokenizer) -> None:
    with pytest.raises(ValueError, match="length=2"):
        tokenize_prompt("a", letters, length=2)


@any_prompt
@given(PROMPTS, STYLES, st.integers(3, 90))
def test_every_token_is_in_one_chunk_in_order(letters: Tokenizer, text: str, style: str, length: int) -> None:
    prompt = tokenize_prompt(text, letters, style=style, pad=0, length=length)  # type: ignore[arg-type]
    pieces = [piece for piece in parse_prompt(text, style) if isinstance(piece, Words)]  # type: ignore[arg-type]
    expected = [(token, piece.weight) for piece in pieces for token in letters.encode(piece.text)]
    laid = []
    for chunk in prompt.chunks:
        end = chunk.tokens.index(2)
        assert len(chunk.tokens) == len(chunk.weights) == length
        assert chunk.tokens[0] == 1
        assert set(chunk.tokens[end + 1 :]) <= {0}
        assert {chunk.weights[0], *chunk.weights[end:]} == {1.0}
        laid += list(zip(chunk.tokens[1:end], chunk.weights[1:end], strict=True))
    assert laid == expected
    assert prompt.count == TokenCount(len(expected), len(prompt.chunks), len(prompt.chunks) * (length - 2))


@any_prompt
@given(PROMPTS)
def test_comfy_parts_no_short_piece(letters: Tokenizer, text: str) -> None:
    ends = [0]
    for row in rows(tokenize_prompt(text, letters)):
        ends.append(ends[-1] + len(row))
    position = 0
    for piece in parse_prompt(text):
        assert isinstance(piece, Words)
        size = len(letters.encode(piece.text))
        if size < KEPT_WHOLE:
            assert not any(position < end < position + size for end in ends)
        position += size
